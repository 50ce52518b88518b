package sim

import (
	"sluice/protocol"
)

// excuse allows what was written and not answered to be delivered again.
func (c *conn) excuse() {
	for c.written.n > 0 {
		c.l.d.w.oracle.excuse(c.written.pop())
	}
}

// buries allows a dead letter that is still in flight on a link to be delivered
// again after the next start.
func (l *loop) buries(id packetID) {
	for _, c := range l.links {
		for i := 0; c != nil && i < c.written.n; i++ {
			if slot := c.written.at(i); *slot == id {
				*slot = noPacket
				l.d.w.oracle.excuse(id)
			}
		}
	}
}

// linkWriteBytes bounds a write to a link, as in server/dispatch.
const linkWriteBytes = 256 << 10

// note remembers the packets of a write, and passes over control frames.
func (c *conn) note(out []byte) {
	o := &c.l.d.w.oracle
	if protocol.IsControl(out[protocol.HeaderSize]) {
		return // the pump writes them by themselves
	}
	if c.written.n == 0 {
		c.heardAt, c.progressAt, c.halted = o.w.now, o.w.now, c.l.d.halted
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
func (c *conn) hear(data []byte) {
	c.heardAt, c.halted = c.l.d.w.now, c.l.d.halted
	if c.wasOpen && !c.link().Ready() {
		c.deaf = true // given up, and yet to be closed
	}
	if !c.deaf && c.answers.feed(data, c.heed) != nil {
		c.deaf = true
	}
}

func (c *conn) heed(m *protocol.Control) bool {
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
