package dispatch

import (
	"time"

	"sluice/protocol"
)

// linkState is how far a link has come.
type linkState uint8

const (
	linkClosed   linkState = iota // no connection
	linkGreeting                  // HELLO said, no WELCOME yet: carries no data
	linkReady                     // carries data
	linkDoomed                    // given up: its connection is to be closed
)

// Link is a loop's own connection to one analyzer, and the stage of what was
// and will be written to it. It lasts as long as the core; connections come
// and go. Its i-th unacknowledged entry is data frame acked+1+i of the
// connection, so an ACK is a subtraction.
//
// To be given up is to have the connection closed, so that no late ACK can
// exist. Owned by one loop.
type Link struct {
	// Conn is the loop's own connection; the core never looks at it.
	Conn any

	index   int
	state   linkState
	stage   stage
	live    int  // entries of the stage that are not settled
	waiting ring // frames that wait for this analyzer and no other (strict, affinity)

	handed  int    // entries at the front of the stage that were written
	acked   uint64 // data frames of this connection that were acknowledged
	credit  protocol.SendWindow
	control []byte // HELLO, PINGs that wait for the socket
	partial []byte // of a control frame that was cut
	dirty   bool

	rate      handOver
	shortest  time.Duration // round trip from a write to its ACK on this connection; 0: none yet
	probation int           // frames; 0 when the link has earned its window
	proven    int           // acknowledged since probation last doubled
	onTrial   bool          // was given up, or lost with frames in flight: begins on probation

	marks      markRing      // when the written frames were written
	openedAt   time.Duration // Handshake counts from here
	heardAt    time.Duration // last byte received, or last time that flight began
	progressAt time.Duration // last ACK that settled something, or last time that flight began
	pingedAt   time.Duration // of the PING that has no answer; 0 without one
	pausedTill time.Duration // the analyzer said busy
	stale      bool          // oldest unacknowledged frame older than SpillAfter
	suspect    bool          // stale, or silent past its PING; told as an event
	draining   bool          // the analyzer said GOAWAY: nothing new

	reason string // why the link was given up
}

// Index is the analyzer's index in the route table.
func (l *Link) Index() int { return l.index }

// InFlight returns how many frames the link holds, written or not.
func (l *Link) InFlight() int { return l.live }

// Ready says whether the link carries data.
func (l *Link) Ready() bool { return l.state == linkReady }

// handOver measures what a link acknowledges in a span of time, which says
// how much to have written and unacknowledged.
type handOver struct {
	from      time.Duration
	now, last int
}

func (h *handOver) add(now, span time.Duration, n int) {
	if past := now - h.from; past >= span {
		h.last, h.now, h.from = h.now, 0, now
		if past >= 2*span {
			h.last = int(int64(h.last) * int64(span) / int64(past))
		}
	}
	h.now += n
}

// recent returns how many were acknowledged in a span, of late.
func (h *handOver) recent(now, span time.Duration) int {
	if now-h.from >= 2*span {
		return 0
	}
	return max(h.now, h.last)
}

// mark says when the frames up to a number were written.
type mark struct {
	upTo uint64
	at   time.Duration
}

// markRing is a queue of marks. One a write, not one a frame.
type markRing struct {
	buf     []mark
	head, n int
}

func (r *markRing) push(m mark) {
	if r.n == len(r.buf) {
		buf := make([]mark, max(16, 2*r.n))
		for i := 0; i < r.n; i++ {
			buf[i] = r.buf[(r.head+i)&(len(r.buf)-1)]
		}
		r.buf, r.head = buf, 0
	}
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = m
	r.n++
}

func (r *markRing) front() *mark { return &r.buf[r.head] }

func (r *markRing) pop() { r.head = (r.head + 1) & (len(r.buf) - 1); r.n-- }

// LinkOpened gives a link its connection and stages the HELLO. The link
// carries data after the analyzer's WELCOME.
func (c *Core) LinkOpened(l *Link, conn any) {
	l.Conn = conn
	l.state = linkGreeting
	l.handed, l.acked = 0, 0
	l.credit = protocol.NewSendWindow()
	l.marks.n, l.shortest = 0, 0
	l.openedAt, l.heardAt, l.progressAt = c.now, c.now, c.now
	l.pingedAt, l.pausedTill = 0, 0
	l.stale, l.suspect, l.draining = false, false, false
	l.reason = ""
	l.probation, l.proven = 0, 0
	if l.onTrial {
		l.probation = c.cfg.ProbationFrames
	}
	l.control = protocol.AppendHello(l.control[:0], protocol.Hello{Version: protocol.Version, Agent: c.cfg.Name})
	c.touchLink(l)
}

// LinkLost tells that the connection of a link is closed, by whomever. What
// it held joins the head of the queue: written frames one attempt older,
// unwritten ones as they were.
func (c *Core) LinkLost(l *Link, reason string) {
	if l.state == linkClosed {
		return
	}
	if l.reason == "" {
		l.reason = reason
	}
	wasReady := l.state == linkReady || l.state == linkDoomed
	l.onTrial = l.onTrial || (wasReady && l.handed > 0)
	l.state, l.Conn = linkClosed, nil
	l.control, l.partial = l.control[:0], nil
	c.reclaim(l, 0)
	l.handed = 0
	l.stage.close(&c.chunks)
	c.events = append(c.events, LinkEvent{Link: l, Change: LinkIsLost, Reason: l.reason})
	c.drainQueue()
}

// giveUp asks the loop to close the link's connection.
func (c *Core) giveUp(l *Link, reason string) {
	if l.state == linkClosed || l.state == linkDoomed {
		return
	}
	l.reason, l.state = reason, linkDoomed
	c.doomed = append(c.doomed, l)
}

// room says whether the link may be given a frame of size bytes now.
func (c *Core) room(l *Link, size int) bool {
	return c.open(l) && c.roomFrames(l) > 0 && c.roomBytes(l) >= size
}

// open says whether the link may be given anything now, if its stage has room.
func (c *Core) open(l *Link) bool {
	return l.state == linkReady && !l.stale && !l.draining && l.pausedTill <= c.now
}

// roomFrames and roomBytes are what the link's stage has room for.
func (c *Core) roomFrames(l *Link) int { return c.cfg.LinkWindowFrames - l.stage.n }
func (c *Core) roomBytes(l *Link) int  { return c.cfg.LinkWindowBytes - l.stage.bytes }

// handLimit is how many frames may be written and unacknowledged.
func (c *Core) handLimit(l *Link) int {
	limit := max(c.cfg.HandOverMin, c.cfg.HandOverFactor*max(l.rate.now, l.rate.last))
	if l.probation > 0 {
		limit = min(limit, l.probation)
	}
	return min(limit, c.cfg.LinkWindowFrames)
}

// NextControl returns the control frames that wait for the link's socket;
// they are then the loop's to write. Borrowed until the next call.
func (c *Core) NextControl(l *Link) []byte {
	out := append(c.scratch[:0], l.control...)
	l.control = l.control[:0]
	c.scratch = out
	return out
}

// NextWrite hands over whole frames for the link's socket: at most
// writeBytes, in one piece of memory, within the hand-over limit and the
// analyzer's credit. Nil when there is nothing to write now. The loop calls
// it only when the socket took everything before, and must then write all of
// it. Borrowed until the next call on the core.
func (c *Core) NextWrite(l *Link) []byte {
	l.dirty = false
	if l.state != linkReady || l.pausedTill > c.now {
		return nil
	}
	end := min(c.handLimit(l), l.stage.n)
	if l.handed >= end {
		return nil
	}
	frames, bytes := l.credit.Batch(int(l.stage.at(l.handed).size), writeBytes)
	if frames == 0 {
		return nil
	}
	if l.handed == 0 { // flight begins: silence counts from here
		l.heardAt, l.progressAt = c.now, c.now
	}
	chunk, begin, size, frames := l.stage.piece(l.handed, min(end, l.handed+frames), bytes)
	l.credit.SentRun(frames, size)
	l.handed += frames
	l.marks.push(mark{upTo: l.acked + uint64(l.handed), at: c.now})
	return c.chunks.all[chunk].buf[begin : begin+size]
}

func (c *Core) touchLink(l *Link) {
	if !l.dirty {
		l.dirty = true
		c.dirtyLinks = append(c.dirtyLinks, l)
	}
}
