package sim

import (
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// loop does around a core what server/loop does, in the same order. Owned by
// the world.
type loop struct {
	d     *distributor
	index int
	core  *dispatch.Core

	owned, lent desk
	sessions    int

	dirtyLinks    []*dispatch.Link
	dirtySessions []*dispatch.Session
	doomed        []*dispatch.Link
	happened      []dispatch.LinkEvent
	lost          []*loopConn
	blocked       []*loopConn
	lingering     []*loopConn
	conns         []*loopConn // open ones of agents
	fallen        []*loopConn // by analyzer, the last connection that was lost
	flushing      bool

	quietTicks int
	tickGen    int // of the pace: what an earlier pace scheduled is void
	count      dispatch.Counters
}

// loopConn is a loop's side of a connection. Owned by the world.
type loopConn struct {
	l       *loop
	e       *end
	session *dispatch.Session
	link    *dispatch.Link

	place     int // in loop.conns
	gone      bool
	blocked   bool
	lingering bool
	shut      bool
	deadline  time.Duration
	reason    string

	// Of a link: the packets that were written and have no answer yet, the
	// first of them being number first. It mirrors what the core must hold.
	written deque[packetID]
	first   uint64
	answers answers
	deaf    bool // the core has given it up and hears no more

	deceived bool // its analyzer acknowledges what it has not received

	heardAt    time.Duration // last byte received, or when flight began
	progressAt time.Duration // last answer that settled something, or when flight began
}

const (
	idleTick  = 250 * time.Millisecond // as in server/loop
	idleAfter = 50
	lingerFor = time.Second

	linkWriteBytes = 256 << 10 // as in server/dispatch
)

func newLoop(d *distributor, index int) *loop {
	l := &loop{d: d, index: index, core: dispatch.New(d.w.knobs.core, d.shared, len(d.w.analyzers))}
	l.fallen = make([]*loopConn, len(d.w.analyzers))
	l.owned.open(l, true)
	l.lent.open(l, false)
	l.setPace(tickEvery)
	return l
}

// setPace ticks every so often from now on.
func (l *loop) setPace(every time.Duration) {
	l.tickGen++
	gen := l.tickGen
	var tick func()
	tick = func() {
		if gen == l.tickGen {
			l.d.after(every, tick)
			l.tick()
		}
	}
	l.d.after(every, tick)
}

func (l *loop) beginTurn() {
	l.core.BeginTurn(l.d.clock())
	if l.quietTicks > idleAfter {
		l.setPace(tickEvery)
	}
	l.quietTicks = 0
}

func (l *loop) tick() {
	l.core.BeginTurn(l.d.clock())
	l.core.Tick()
	busy := l.core.Unsettled() + len(l.blocked) + len(l.lingering)
	for _, c := range l.blocked {
		c.blocked = false
		switch {
		case c.session != nil:
			l.core.Touch(c.session)
		case c.link != nil && !c.gone:
			l.core.TouchLink(c.link)
		}
	}
	l.blocked = l.blocked[:0]
	l.flush()
	l.endLingering()
	switch {
	case busy > 0:
		if l.quietTicks > idleAfter {
			l.setPace(tickEvery)
		}
		l.quietTicks = 0
	case l.quietTicks <= idleAfter:
		if l.quietTicks++; l.quietTicks > idleAfter {
			l.setPace(idleTick)
		}
	}
}

// addAgent takes an accepted connection.
func (l *loop) addAgent(e *end) {
	c := &loopConn{l: l, e: e, place: len(l.conns)}
	e.user = c
	l.conns = append(l.conns, c)
	l.sessions++
	l.beginTurn()
	c.session = l.core.Open(c)
	l.flush()
}

// addLink takes a dialled connection.
func (l *loop) addLink(analyzer int, e *end) {
	c := &loopConn{l: l, e: e, link: l.core.Links()[analyzer], first: 1}
	e.user = c
	l.beginTurn()
	l.core.LinkOpened(c.link, c)
	l.flush()
}

// readable is a turn.
func (c *loopConn) readable(data []byte) {
	l := c.l
	if c.lingering {
		return
	}
	l.beginTurn()
	if c.session != nil {
		if cost := l.d.w.knobs.turnCost; cost > 0 {
			l.d.spend(l.d.w.upTo(cost))
		}
		l.core.Receive(c.session, data)
	} else {
		c.hear(data)
		l.core.ReceiveLink(c.link, data)
	}
	l.flush()
}

func (c *loopConn) writable() {} // a loop asks at its next tick

func (c *loopConn) ended(reason string) {
	c.e.close()
	c.closed(reason)
}

// closed is what server/loop does in OnClose.
func (c *loopConn) closed(reason string) {
	if c.gone {
		return
	}
	c.gone = true
	if c.reason == "" {
		c.reason = reason
	}
	l := c.l
	l.lost = append(l.lost, c)
	if !l.flushing {
		l.beginTurn()
		l.flush()
	}
}

func (l *loop) close(c *loopConn, reason string) {
	if c.gone {
		return
	}
	c.e.close()
	c.closed(reason)
}

// flush is server/loop's flush, and then the look at what must hold.
func (l *loop) flush() {
	if l.flushing {
		return
	}
	l.flushing = true
	for rounds := 0; ; rounds++ {
		if rounds > 10_000 {
			l.d.w.fail("%s: the core never comes to rest", l.d.name)
		}
		l.dirtyLinks = l.core.TakeDirtyLinks(l.dirtyLinks[:0])
		for _, link := range l.dirtyLinks {
			l.writeLink(link)
		}
		l.dirtySessions = l.core.TakeDirtySessions(l.dirtySessions[:0])
		for _, s := range l.dirtySessions {
			l.writeSession(s)
		}
		l.doomed = l.core.TakeDoomed(l.doomed[:0])
		for _, link := range l.doomed {
			if c, ok := link.Conn.(*loopConn); ok {
				l.close(c, "given up")
			}
		}
		for i := 0; i < len(l.lost); i++ {
			l.forget(l.lost[i])
		}
		more := len(l.lost) + len(l.doomed) + len(l.dirtySessions) + len(l.dirtyLinks)
		clear(l.lost)
		l.lost = l.lost[:0]
		if more == 0 {
			break
		}
	}
	l.flushing = false
	l.happened = l.core.TakeEvents(l.happened[:0])
	for _, e := range l.happened {
		l.d.linkEvent(l, e)
	}
	l.check()
}

func (l *loop) forget(c *loopConn) {
	switch {
	case c.session != nil:
		l.core.SessionLost(c.session)
		l.sessions--
		last := l.conns[len(l.conns)-1]
		l.conns[c.place], last.place = last, c.place
		l.conns = l.conns[:len(l.conns)-1]
	case c.link != nil && c.link.Conn == c:
		c.excuse()
		l.fallen[c.link.Index()] = c
		l.core.LinkLost(c.link, c.reason)
	}
}

// excuse allows what was written and not answered to be delivered again.
func (c *loopConn) excuse() {
	for c.written.n > 0 {
		c.l.d.w.oracle.excuse(c.written.pop())
	}
}

// buries allows a dead letter that is still in flight on a link to be delivered
// again after the next start.
func (l *loop) buries(id packetID) {
	for _, link := range l.core.Links() {
		c, ok := link.Conn.(*loopConn)
		for i := 0; ok && i < c.written.n; i++ {
			if slot := c.written.at(i); *slot == id {
				*slot = noPacket
				l.d.w.oracle.excuse(id)
			}
		}
	}
}

func (l *loop) writeLink(link *dispatch.Link) {
	c, ok := link.Conn.(*loopConn)
	if !ok || c.gone || l.full(c) {
		return
	}
	if out := l.core.NextControl(link); len(out) > 0 {
		l.write(c, out)
	}
	for !c.gone {
		if l.full(c) {
			return
		}
		out := l.core.NextWrite(link)
		if len(out) == 0 {
			return
		}
		c.note(out)
		l.write(c, out)
	}
}

func (l *loop) writeSession(s *dispatch.Session) {
	c, ok := s.Conn.(*loopConn)
	if !ok || c.gone {
		return
	}
	if l.full(c) {
		l.core.Unread(s)
		if s.Closing() {
			l.linger(c)
		}
		return
	}
	if out := l.core.NextAnswers(s); len(out) > 0 {
		l.write(c, out)
	}
	if s.Closing() {
		l.linger(c)
	}
}

func (l *loop) full(c *loopConn) bool {
	if !c.e.full() {
		return false
	}
	if !c.blocked {
		c.blocked = true
		l.blocked = append(l.blocked, c)
	}
	return true
}

// write hands bytes to the connection. Writing to one that is broken closes
// it, from within.
func (l *loop) write(c *loopConn, out []byte) {
	if c.e.reset {
		l.close(c, "broken pipe")
		return
	}
	c.e.write(out)
	l.full(c)
}

func (l *loop) linger(c *loopConn) {
	if c.lingering || c.gone {
		return
	}
	c.lingering = true
	c.deadline = l.d.clock() + lingerFor
	l.lingering = append(l.lingering, c)
	l.shutWrite(c)
}

func (l *loop) shutWrite(c *loopConn) {
	if !c.shut && !c.gone && !c.e.full() {
		c.shut = true
		c.e.shut()
	}
}

func (l *loop) endLingering() {
	list := l.lingering
	kept := list[:0]
	for _, c := range list {
		l.shutWrite(c)
		switch {
		case c.gone:
		case l.d.clock() >= c.deadline:
			l.close(c, "closed after its last words")
		default:
			kept = append(kept, c)
		}
	}
	clear(list[len(kept):])
	l.lingering = kept
}

// note remembers the packets of a write.
func (c *loopConn) note(out []byte) {
	o := &c.l.d.w.oracle
	if c.written.n == 0 {
		c.heardAt, c.progressAt = o.w.now, o.w.now
	}
	if most := max(linkWriteBytes, c.l.d.w.knobs.core.MaxFrame+protocol.HeaderSize); len(out) > most {
		c.l.d.w.fail("%s: one write of %d bytes to a link", c.l.d.name, len(out))
	}
	for len(out) > 0 {
		size := protocol.HeaderSize + int(protocol.FrameLength(out))
		id := o.identify(out[:size], c.l.d.name)
		o.written(id, c.l.d.name)
		c.written.push(id)
		out = out[size:]
	}
}

// hear reads an analyzer's answers along with the core. Whatever makes the core
// give the link up ends it: what is said after that is not heard.
func (c *loopConn) hear(data []byte) {
	c.heardAt = c.l.d.w.now
	if !c.deaf && c.answers.feed(data, c.heed) != nil {
		c.deaf = true
	}
}

func (c *loopConn) heed(m *protocol.Control) bool {
	last := c.first + uint64(c.written.n) - 1
	switch m.Op {
	case protocol.OpAck:
		if c.deaf = m.N > last; c.deaf {
			return false
		}
		if c.first <= m.N {
			c.progressAt = c.l.d.w.now
		}
		for c.first <= m.N {
			if id := c.written.pop(); c.deceived && id != noPacket {
				c.l.d.w.oracle.mark(id, markLied)
			}
			c.first++
		}
	case protocol.OpNack:
		if c.deaf = m.N > last || m.Count > last-m.N+1; c.deaf {
			return false
		}
		for n := max(m.N, c.first); n < m.N+m.Count; n++ {
			slot := c.written.at(int(n - c.first))
			if final := protocol.NackCode(m.Code) == protocol.NackInvalid; final && *slot != noPacket {
				c.l.d.w.oracle.mark(*slot, markHeard)
			}
			*slot = noPacket
		}
		c.deaf = protocol.NackCode(m.Code) == protocol.NackUnauthorized
	case protocol.OpHello:
		c.deaf = true
	case protocol.OpGoaway:
		c.deaf = protocol.GoawayCode(m.Code) != protocol.GoawayDrain
	}
	return !c.deaf
}
