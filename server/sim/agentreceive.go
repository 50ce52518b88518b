package sim

import (
	"sluice/protocol"
)

func (c *agentConn) readable(data []byte) {
	c.heardAt = c.a.w.now
	if err := c.answers.feed(data, c.answer); err != nil {
		c.a.w.fail("%s hears a malformed answer: %v", c.a.name, err)
	}
	if c.a.conn != c {
		return
	}
	if c.draining && c.inFlight.n == 0 {
		c.drop(false)
		return
	}
	c.fill()
}

// answer checks the rules that every answer obeys, and obeys it. False: the
// connection is over.
func (c *agentConn) answer(m *protocol.Control) bool {
	a := c.a
	switch m.Op {
	case protocol.OpAck:
		c.ack(m)
	case protocol.OpNack:
		c.nack(m)
	case protocol.OpWelcome:
		if !a.hello && a.polite || c.welcomed {
			a.w.fail("%s hears WELCOME without HELLO", a.name)
		}
		if m.Welcome.MaxFrame != a.w.knobs.core.MaxFrame {
			a.w.fail("%s is offered frames of %d bytes", a.name, m.Welcome.MaxFrame)
		}
		c.welcomed, c.ready = true, true
		c.credit(m.Welcome.Frames, m.Welcome.Bytes, 0)
	case protocol.OpPing:
		if !a.hello && a.polite {
			a.w.fail("%s, which said no HELLO, is asked whether it is alive", a.name)
		}
		c.e.write(protocol.AppendPong(nil, m.Echo))
	case protocol.OpPong:
	case protocol.OpGoaway:
		if protocol.GoawayCode(m.Code) == protocol.GoawayDrain {
			if !c.draining {
				c.draining, c.drainFrom = true, a.w.now
			}
			return true
		}
		// A polite one that was stopped, or whose path was, is late with a frame.
		if code := protocol.GoawayCode(m.Code); a.polite && code != protocol.GoawayOverload && code != protocol.GoawayIdle {
			a.w.fail("%s, which is polite, is told to go away: %v %s", a.name, protocol.GoawayCode(m.Code), m.Text)
		}
		a.w.tracef("%s: GOAWAY %v %s", a.name, protocol.GoawayCode(m.Code), m.Text)
		c.drop(true)
		return false
	default:
		a.w.fail("%s hears a %v", a.name, m.Op)
	}
	return true
}

// ack settles all up to n.
func (c *agentConn) ack(m *protocol.Control) {
	a, o := c.a, &c.a.w.oracle
	if m.N+1 < c.first || m.N >= c.first+uint64(c.inFlight.n) {
		a.w.fail("%s has frames %d to %d open, and hears ACK %d", a.name, c.first, c.first+uint64(c.inFlight.n)-1, m.N)
	}
	for ; c.first <= m.N; c.first++ {
		f := c.inFlight.pop()
		if f.answered {
			continue
		}
		if f.id == noPacket {
			a.w.fail("%s: frame %d, which is no packet, is acknowledged", a.name, c.first)
		}
		c.window.Settled(1, f.size)
		o.acknowledged(f.id, a.name)
		a.failures = 0
	}
	c.credit(m.Frames, m.Bytes, m.N)
}

// credit takes what may be sent in all, and checks that it stays in bounds.
func (c *agentConn) credit(frames, bytes, n uint64) {
	a, k := c.a, &c.a.w.knobs.core
	window := uint64(max(k.SessionWindowFrames, protocol.FirstCreditFrames))
	switch {
	case frames < c.frames || bytes < c.bytes:
		a.w.fail("%s: credit goes back from %d frames, %d bytes to %d, %d", a.name, c.frames, c.bytes, frames, bytes)
	case frames > max(n+protocol.MaxCreditSpan, protocol.FirstCreditFrames):
		a.w.fail("%s: credit of %d frames spans more than %d from %d", a.name, frames, protocol.MaxCreditSpan, n)
	case frames > c.window.Number()+window:
		a.w.fail("%s: credit of %d frames after %d were sent, with a window of %d", a.name, frames, c.window.Number(), window)
	}
	c.frames, c.bytes = frames, bytes
	c.window.Raise(frames, bytes)
}

// nack answers frames n … n+count-1.
func (c *agentConn) nack(m *protocol.Control) {
	a, o := c.a, &c.a.w.oracle
	end := c.first + uint64(c.inFlight.n)
	code := protocol.NackCode(m.Code)
	if m.N < c.first || m.N >= end || m.Count > end-m.N {
		a.w.fail("%s has frames %d to %d open, and hears NACK %d to %d (%v)", a.name, c.first, end-1, m.N, m.N+m.Count-1, code)
	}
	for n := m.N; n < m.N+m.Count; n++ {
		f := c.inFlight.at(int(n - c.first))
		if f.answered {
			a.w.fail("%s: frame %d is refused twice (%v)", a.name, n, code)
		}
		f.answered = true
		c.window.Settled(1, f.size)
		switch code {
		case protocol.NackBusy, protocol.NackUnavailable:
			if f.id != noPacket {
				a.again.push(unsent{id: f.id})
			}
			a.holdBack(m.RetryAfter)
		case protocol.NackDraining:
			if f.id != noPacket {
				a.again.push(unsent{id: f.id})
			}
			if !c.draining {
				c.draining, c.drainFrom = true, a.w.now
			}
		case protocol.NackInvalid, protocol.NackTooLarge:
			if f.id != noPacket {
				o.refusedFor(f.id, code, a.name)
			}
		default:
			a.w.fail("%s hears %v", a.name, code)
		}
	}
}
