package sim

import (
	"fmt"
	"time"

	"sluice/protocol"
)

// agent makes packets and sends them until each has its answer, as
// docs/PROTOCOL.md asks of a sender; and sometimes not quite, see rude.go. It
// is a model of its own and not package client, so that the two do not share
// their errors. Owned by the world.
type agent struct {
	process
	index  int
	source int32
	hello  bool
	polite bool // never rude

	addrs []int // distributors, in the order in which it tries them
	turn  int

	plan     int // packets that it has yet to make
	gap      time.Duration
	burst    int
	pace     int // what an earlier pace scheduled is void
	fresh    int // made, as far as they have no id yet
	again    deque[unsent]
	conn     *agentConn
	dialling bool
	failures int
	paused   time.Duration // until then it sends nothing, having been told busy
	waking   bool
}

// unsent is a packet that must be sent again. Owned by the world.
type unsent struct {
	id    packetID
	moved bool // its connection was lost: the old hand-over may still succeed
}

// sentFrame is a data frame without an answer. Owned by the world.
type sentFrame struct {
	id       packetID
	size     int
	answered bool
}

// agentConn is an agent's connection. Owned by the world.
type agentConn struct {
	a        *agent
	e        *end
	window   protocol.SendWindow
	inFlight deque[sentFrame] // the first is number first
	first    uint64
	frames   uint64 // credit told
	bytes    uint64

	ready, welcomed, draining, closing bool

	bornAt, heardAt, pingAt, drainFrom time.Duration
	answers                            answers
	out                                []byte
}

// As in package client, a little faster.
const (
	agentTick   = 250 * time.Millisecond
	pingAfter   = 2 * time.Second
	silence     = 6 * time.Second
	welcomeWait = 2 * time.Second
	drainWait   = 10 * time.Second
	maxBackoff  = 2 * time.Second
	minBackoff  = 50 * time.Millisecond
	maxFresh    = 5000 // made and not sent: then it makes no more
	writeBytes  = 64 << 10
)

func newAgent(w *World, index int) *agent {
	k := &w.knobs
	a := &agent{index: index, hello: w.chance(0.6), polite: !w.chance(k.rudeShare)}
	a.init(w, fmt.Sprintf("agent %d", index))
	a.source = w.oracle.newSource(fmt.Sprintf("a%d", index), k.sizes)
	a.addrs = w.rng.Perm(k.distributors)
	a.plan = k.packets / (k.agents + k.submitters)
	a.burst = 1 + w.intN(k.burst)
	a.gap = k.chaos * time.Duration(a.burst) / time.Duration(a.plan+1)
	return a
}

func (a *agent) start() {
	a.live()
	a.conn, a.dialling, a.failures, a.paused, a.waking = nil, false, 0, 0, false
	a.after(a.w.upTo(200*time.Millisecond), a.dial)
	a.setPace(a.plan, a.burst, a.gap)
	a.after(agentTick, a.tick)
}

// crash ends the agent; what it had made and not heard of is gone.
func (a *agent) crash(power bool) {
	if !a.up {
		return
	}
	a.w.tracef("%s crashes", a.name)
	if c := a.conn; c != nil {
		a.requeue(c)
	}
	for a.again.n > 0 {
		if u := a.again.pop(); u.id != noPacket {
			a.w.oracle.forget(u.id)
		}
	}
	a.fresh = 0
	a.die(power)
}

// setPace makes plan more packets, burst of them each gap or so.
func (a *agent) setPace(plan, burst int, gap time.Duration) {
	a.pace++
	a.plan, a.burst, a.gap = plan, burst, gap
	pace := a.pace
	a.after(a.w.upTo(gap), func() { a.produce(pace) })
}

func (a *agent) produce(pace int) {
	if pace != a.pace {
		return
	}
	if n := min(a.burst, a.plan, maxFresh-a.fresh); n > 0 {
		a.plan -= n
		a.fresh += n
		if a.conn != nil {
			a.conn.fill()
		}
	}
	if a.plan > 0 {
		a.after(a.gap/2+a.w.upTo(a.gap), func() { a.produce(pace) })
	}
}

// idle says that all that it made has its answer.
func (a *agent) idle() bool {
	return a.up && a.plan == 0 && a.fresh == 0 && a.again.n == 0 && (a.conn == nil || a.conn.inFlight.n == 0)
}

// state says what the agent has to do.
func (a *agent) state() string {
	s := fmt.Sprintf("up %v, %d to make, %d fresh, %d again, paused %v", a.up, a.plan, a.fresh, a.again.n, a.paused > a.w.now)
	if c := a.conn; c != nil {
		frames, bytes := c.window.Unsettled()
		s += fmt.Sprintf(", connected to %s: %d unsettled frames, %d bytes, credit for %d frames after %d, %d bytes, ready %v, draining %v, closing %v",
			c.e.mate.proc.name, frames, bytes, c.frames, c.window.Number(), c.bytes, c.ready, c.draining, c.closing)
	}
	return s
}

func (a *agent) dial() {
	if a.conn != nil || a.dialling {
		return
	}
	a.dialling = true
	to := a.w.distributors[a.addrs[a.turn%len(a.addrs)]]
	a.turn++
	a.w.dial(&a.process, &to.process, func(e *end, failure string) {
		a.dialling = false
		if e == nil {
			a.retry()
			return
		}
		now := a.w.now
		c := &agentConn{a: a, e: e, window: protocol.NewSendWindow(), first: 1, bornAt: now, heardAt: now,
			frames: protocol.FirstCreditFrames, bytes: protocol.FirstCreditBytes}
		e.user, a.conn = c, c
		if a.hello {
			c.e.write(protocol.AppendHello(nil, protocol.Hello{Version: protocol.Version, Agent: a.name}))
		} else {
			c.ready = true
		}
		c.fill()
	})
}

// retry dials after a back-off.
func (a *agent) retry() {
	d := min(maxBackoff, minBackoff<<min(a.failures, 10))
	a.failures++
	a.after(d/2+a.w.upTo(d), a.dial)
}

// drop ends the connection from this side, or after its end.
func (c *agentConn) drop(failed bool) {
	a := c.a
	if a.conn != c {
		return
	}
	a.conn = nil
	c.e.close()
	a.requeue(c)
	if failed {
		a.retry()
	} else {
		a.after(a.w.upTo(time.Millisecond), a.dial)
	}
}

// requeue takes back what the connection has no answer for, in order.
func (a *agent) requeue(c *agentConn) {
	for i := c.inFlight.n - 1; i >= 0; i-- {
		if f := c.inFlight.at(i); !f.answered && f.id != noPacket {
			a.again.pushFront(unsent{f.id, true})
		}
	}
	c.inFlight.clear()
}

// fill sends what the credit, the socket and the pauses allow.
func (c *agentConn) fill() {
	a := c.a
	for c.ready && !c.draining && !c.closing && a.paused <= a.w.now && a.again.n+a.fresh > 0 {
		if c.e.full() {
			c.e.hungry = true
			return
		}
		out := c.out[:0]
		for len(out) < writeBytes && a.again.n+a.fresh > 0 {
			grown, ok := c.appendNext(out)
			if !ok {
				break
			}
			out = grown
		}
		c.out = out
		if len(out) == 0 {
			return
		}
		c.e.write(out)
	}
}

// appendNext appends the next frame, if the credit allows.
func (c *agentConn) appendNext(out []byte) ([]byte, bool) {
	a, o := c.a, &c.a.w.oracle
	if a.again.n == 0 {
		a.again.push(unsent{id: o.make(a.source, a.w.knobs.drawClass(a.w))})
		a.fresh--
	}
	u := *a.again.at(0)
	size := o.size(u.id)
	if !c.window.CanSend(size) {
		return out, false
	}
	a.again.pop()
	if u.moved {
		o.excuse(u.id)
	}
	o.sent(u.id)
	c.sent(u.id, size)
	return o.appendFrame(out, u.id), true
}

// sent counts a data frame.
func (c *agentConn) sent(id packetID, size int) {
	c.window.Sent(size)
	c.inFlight.push(sentFrame{id: id, size: size})
}

func (c *agentConn) writable() { c.fill() }

func (c *agentConn) ended(reason string) {
	c.a.w.tracef("%s: connection ended: %s, %d in flight", c.a.name, reason, c.inFlight.n)
	c.drop(true)
}

// tick watches the connection.
func (a *agent) tick() {
	a.after(agentTick, a.tick)
	c, now := a.conn, a.w.now
	if c == nil {
		return
	}
	if !c.ready && now-c.bornAt >= welcomeWait {
		c.ready = true
	}
	switch quiet := now - c.heardAt; {
	case c.draining && now-c.drainFrom > drainWait:
		c.drop(true)
		return
	case c.inFlight.n == 0:
		c.heardAt = now
	case quiet >= silence:
		a.w.tracef("%s: silence with %d in flight", a.name, c.inFlight.n)
		c.drop(true)
		return
	case quiet >= pingAfter && now-c.pingAt >= pingAfter:
		c.pingAt = now
		c.e.write(protocol.AppendPing(nil, uint64(now)))
	}
	c.fill()
}

// holdBack sends nothing for a while.
func (a *agent) holdBack(d time.Duration) {
	if a.paused > a.w.now {
		return
	}
	a.paused = a.w.now + max(d, 10*time.Millisecond)
	if !a.waking {
		a.waking = true
		a.after(a.paused-a.w.now, a.wake)
	}
}

func (a *agent) wake() {
	a.waking = false
	if a.conn != nil {
		a.conn.fill()
	}
}
