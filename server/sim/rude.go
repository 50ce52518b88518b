package sim

import (
	"time"

	"sluice/protocol"
)

// What rude agents do to their distributor. Each returns false if it could do
// nothing.

// sendInvalid sends data frames that are no packets.
func (a *agent) sendInvalid() bool {
	c := a.conn
	if c == nil || !c.ready || c.draining || c.closing {
		return false
	}
	bodies := [][]byte{{0xc3}, {0x80}, {0xc0, 0xc0}, []byte("\x83\xa9packet_id\xa1x"), {0xd8, 1, 2, 3}}
	for range 1 + a.w.intN(20) {
		frame := protocol.AppendFrame(nil, bodies[a.w.intN(len(bodies))])
		if !c.window.CanSend(len(frame)) {
			break
		}
		c.sent(noPacket, len(frame))
		c.e.write(frame)
	}
	return true
}

// overrun sends more than the credit allows: busy is the answer, or in the end
// the end of the connection.
func (a *agent) overrun() bool {
	c := a.conn
	if c == nil || !c.ready || c.draining || c.closing {
		return false
	}
	var out []byte
	noise := a.w.chance(0.5) // whose answers do not merge
	for i := range 100 + a.w.intN(9000) {
		if noise || a.again.n == 0 && a.fresh == 0 {
			out = protocol.AppendFrame(out, [][]byte{{0xc3}, {0x80}}[i&1])
			c.sent(noPacket, protocol.HeaderSize+1)
			continue
		}
		window := c.window
		c.window = protocol.NewSendWindow() // one that allows
		out, _ = c.appendNext(out)
		c.window = window
		c.window.Sent(c.inFlight.at(c.inFlight.n - 1).size)
	}
	c.e.write(out)
	if a.w.chance(0.3) { // and reads no answers
		a.pause()
		a.w.faults.later(a.w.faults.last(), a.resume)
	}
	return true
}

// badLength sends a header that cannot be.
func (a *agent) badLength() bool {
	c := a.conn
	if c == nil || !c.ready || c.closing {
		return false
	}
	length := []byte{0, 0, 0, 0}
	if a.w.chance(0.5) {
		length = []byte{0xff, 0xff, 0xff, 0xf0}
	}
	c.sent(noPacket, 0)
	c.e.write(append(length, 0x80, 0x80))
	c.closing = true
	return true
}

// wrongControl sends a control frame that is not its to send, or is malformed.
func (a *agent) wrongControl() bool {
	c := a.conn
	if c == nil || c.closing {
		return false
	}
	var out []byte
	switch a.w.intN(4) {
	case 0:
		out = protocol.AppendAck(nil, 1, 2, 3)
	case 1:
		out = protocol.AppendFrame(nil, []byte{0x92, 0x05})
	case 2:
		out = protocol.AppendGoaway(nil, protocol.GoawayDrain, "me")
	default:
		out = protocol.AppendHello(protocol.AppendHello(nil, protocol.Hello{Version: 1}), protocol.Hello{Version: 1})
	}
	c.e.write(out)
	c.closing = true
	return true
}

// leave closes the connection in the middle of a frame.
func (a *agent) leave() bool {
	c := a.conn
	if c == nil || c.closing {
		return false
	}
	if a.again.n == 0 && a.fresh > 0 && c.ready && !c.draining {
		a.again.push(unsent{id: a.w.oracle.make(a.source, a.w.knobs.drawClass(a.w))})
		a.fresh--
	}
	if a.again.n > 0 && c.ready {
		frame := a.w.oracle.appendFrame(nil, a.again.at(0).id)
		c.sent(noPacket, 0) // one that there is no memory for is refused as soon as its header is there
		c.e.write(frame[:1+a.w.intN(len(frame)-1)])
		c.closing = true
		a.after(a.w.upTo(300*time.Millisecond), func() { c.drop(true) })
		return true
	}
	c.drop(true)
	return true
}
