package dispatch

import (
	"time"

	"sluice/protocol"
	"sluice/server/stage"
)

// linkState is how far a link has come.
type linkState uint8

const (
	linkClosed   linkState = iota // no connection
	linkGreeting                  // HELLO said, no WELCOME yet: carries no data
	linkReady                     // carries data
	linkDoomed                    // given up: its connection is to be closed
)

// Link is a loop's own connection to one analyzer, and the window of what was
// and will be written to it. It lasts as long as the core; connections come and
// go.
//
// To be given up is to have the connection closed, so that no late ACK can
// exist. Owned by one loop.
type Link struct {
	// Conn is the pump's own connection; the core never looks at it.
	Conn any

	core    *Core
	index   int
	state   linkState
	flight  stage.InFlight
	waiting stage.WaitQueue // frames that wait for this analyzer and no other (strict, affinity)

	control []byte // HELLO, PINGs that wait for the socket
	partial []byte // of a control frame that was cut
	dirty   bool

	handOver handOver

	openedAt   time.Duration // Handshake counts from here
	heardAt    time.Duration // last byte received, or last time that flight began
	progressAt time.Duration // last ACK that settled something, or last time that flight began
	pingedAt   time.Duration // of the PING that has no answer; 0 without one
	movedAt    time.Duration // last time that bytes of ours were seen to reach the analyzer's kernel
	moved      uint64        // how many had by then
	transit    bool          // data of ours were in transit when that was looked at last
	pausedTill time.Duration // the analyzer said busy
	late       bool          // its oldest unacknowledged frame is older than SpillAfter, another link's is not
	suspect    bool          // late, or silent past its PING; told as an event
	draining   bool          // the analyzer said GOAWAY: nothing new

	reason string // why the link was given up
}

func newLink(c *Core, index int) *Link {
	return &Link{core: c, index: index, waiting: stage.NewWaitQueue(&c.shared.places),
		flight: stage.NewInFlight(c.pool, c.cfg.LinkWindowFrames, c.cfg.LinkWindowBytes)}
}

// Index is the analyzer's index in the route table.
func (l *Link) Index() int { return l.index }

// InFlight returns how many frames the link holds, written or not.
func (l *Link) InFlight() int { return l.flight.Live() }

// Ready says whether the link carries data.
func (l *Link) Ready() bool { return l.state == linkReady }

// LinkEvent says what has become of a link.
type LinkEvent struct {
	Link   *Link
	Change LinkChange
	Reason string // why it drains, is suspect or was lost
}

// LinkChange is a step in the life of a link.
type LinkChange uint8

// The changes. A ready link may become suspect and well again any number of
// times; it drains or not, is lost, and may become ready again.
const (
	LinkIsReady    LinkChange = iota // it carries data
	LinkIsSuspect                    // it is silent past its PING, or its oldest frame is late
	LinkIsWell                       // it is suspect no more; or, out of the table, it answered a PING
	LinkIsDraining                   // it takes nothing new, and its connection still stands
	LinkIsLost                       // its connection is closed
)

func (l *Link) tell(change LinkChange, reason string) {
	l.core.events = append(l.core.events, LinkEvent{Link: l, Change: change, Reason: reason})
}

// Opened gives a link its connection and prepares the HELLO. The link carries
// data after the analyzer's WELCOME.
func (l *Link) Opened(conn any) {
	c := l.core
	l.Conn, l.state, l.reason = conn, linkGreeting, ""
	l.flight.Open()
	l.handOver.open(&c.cfg)
	l.openedAt, l.heardAt, l.progressAt = c.now, c.now, c.now
	l.pingedAt, l.pausedTill = 0, 0
	l.movedAt, l.moved, l.transit = 0, 0, false
	l.late, l.suspect, l.draining = false, false, false
	hello := protocol.Hello{Version: protocol.Version, Agent: c.cfg.Name}
	if c.cfg.Lineage != nil {
		hello.Via = c.cfg.Lineage.Via()
	}
	l.control = protocol.AppendHello(l.control[:0], hello)
	l.touch()
}

// Lost tells that the connection of a link is closed, by whomever. What it held
// joins the head of the queue: written frames one attempt older, unwritten ones
// as they were.
func (l *Link) Lost(reason string) {
	if l.state == linkClosed {
		return
	}
	if l.reason == "" {
		l.reason = reason
	}
	if l.state != linkGreeting && l.flight.Written() > 0 {
		l.handOver.onTrial = true
	}
	l.state, l.Conn = linkClosed, nil
	l.control, l.partial = l.control[:0], nil
	if lineage := l.core.cfg.Lineage; lineage != nil {
		lineage.DropReceiver(l)
	}
	l.reclaimAll()
	l.tell(LinkIsLost, l.reason)
	l.core.drainQueue()
}

// giveUp asks the pump to close the link's connection.
func (l *Link) giveUp(reason string) {
	if l.state == linkClosed || l.state == linkDoomed {
		return
	}
	l.reason, l.state = reason, linkDoomed
	l.core.doomed = append(l.core.doomed, l)
}

// Retire gives a link nothing new, settles what it was handed, and has it closed
// then: for an analyzer that is removed, or is to be reached elsewhere. What was
// not written goes to others.
func (l *Link) Retire(reason string) {
	switch l.state {
	case linkGreeting:
		l.giveUp(reason)
	case linkReady:
		l.drain(reason)
	}
}

// drain lets a link finish what it was handed and has it closed then.
func (l *Link) drain(reason string) {
	if l.draining {
		return
	}
	l.draining = true
	l.tell(LinkIsDraining, reason)
	l.reclaimUnwritten()
	l.core.drainQueue()
	l.endDrain()
}

// endDrain has the connection closed when what was handed over is settled.
func (l *Link) endDrain() {
	if l.draining && l.flight.Live() == 0 {
		l.giveUp("drained")
	}
}

// inTable says that the link gets frames by weight.
func (l *Link) inTable() bool {
	return l.state == linkReady && !l.draining && l.core.table.Weight(l.index) > 0
}

// open says whether the link may be given anything now, if its window has room.
func (l *Link) open() bool {
	return l.state == linkReady && !l.late && !l.draining && l.pausedTill <= l.core.now
}

// fits says whether the link may be given a frame of size bytes now.
func (l *Link) fits(size int) bool { return l.open() && l.flight.Fits(size) }

// NextControl returns the control frames that wait for the link's socket; they
// are then the pump's to write. Borrowed until the next call.
func (l *Link) NextControl() []byte {
	out := append(l.core.scratch[:0], l.control...)
	l.control = l.control[:0]
	l.core.scratch = out
	return out
}

// NextWrite hands over whole frames for the link's socket: at most writeBytes,
// in one piece of memory, within the hand-over limit and the analyzer's credit.
// Nil when there is nothing to write now. The pump calls it only when the socket
// took everything before, and must then write all of it. Borrowed until the next
// call on the core.
func (l *Link) NextWrite() []byte {
	c := l.core
	l.dirty = false
	if l.state != linkReady || l.pausedTill > c.now {
		return nil
	}
	begins := l.flight.Written() == 0
	out := l.flight.NextWrite(l.handOver.limit(&c.cfg), writeBytes, c.now)
	if begins && out != nil { // flight begins: silence counts from here
		l.heardAt, l.progressAt = c.now, c.now
	}
	return out
}

// Owes says that there was something to write to the link's socket at the last
// tick, or has been since. A pause that has ended since then is noticed by the next.
func (l *Link) Owes() bool {
	switch c := l.core; {
	case l.state == linkClosed || l.state == linkDoomed:
		return false
	case len(l.control) > 0:
		return true
	default:
		return l.state == linkReady && l.pausedTill <= c.tickedAt && l.flight.CanWrite(l.handOver.limit(&c.cfg), writeBytes)
	}
}

// MarkDirty marks a link to be asked again for what to write.
func (l *Link) MarkDirty() {
	if l.state != linkClosed {
		l.touch()
	}
}

func (l *Link) touch() {
	if !l.dirty {
		l.dirty = true
		l.core.dirtyLinks = append(l.core.dirtyLinks, l)
	}
}

// touchUnwritten marks a link that has frames to write.
func (l *Link) touchUnwritten() {
	if l.flight.Unwritten() > 0 {
		l.touch()
	}
}
