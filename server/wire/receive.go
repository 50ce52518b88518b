package wire

import (
	"sluice/protocol"
	"sluice/server/dispatch"
)

// Receive takes what was read from the connection: all complete frames are
// dispatched, the tail of a cut one is kept. data is borrowed.
func (a *Agent) Receive(data []byte) {
	if a.closing || a.gone || a.deaf {
		return
	}
	w := a.home
	a.heardAt = w.core.Now()
	a.source.Arrived()
	if len(a.backlog) > 0 {
		a.keepBacklog(data) // in order
		return
	}
	if rest := a.work(data); len(rest) > 0 {
		a.keepBacklog(rest)
	}
}

// work takes bytes of the stream, in order, and returns those that are for a later
// turn.
func (a *Agent) work(data []byte) (rest []byte) {
	w := a.home
	w.core.BeginSource()
	if a.discard > 0 || len(a.partial) > 0 {
		a.brought += len(data)
		if data = a.resume(data); a.closing {
			return nil
		}
		if a.discard == 0 && len(a.partial) == 0 {
			a.partialAt = 0
		}
	}
	maxFrame := uint32(w.cfg.MaxFrame)
	for len(data) >= protocol.HeaderSize {
		taken, fault := w.core.Deal(a.source, data)
		if taken > 0 {
			a.spoke = true
			if data = data[taken:]; a.closing || len(data) < protocol.HeaderSize {
				break
			}
		}
		size := protocol.FrameLength(data)
		if size-1 >= maxFrame { // 0 wraps
			a.badLength()
			return nil
		}
		end := protocol.HeaderSize + int(size)
		if len(data) < end {
			break
		}
		if w.core.Interrupted(data[protocol.HeaderSize:end]) {
			a.deaf = true
			return nil
		}
		if w.core.Postponed(data[protocol.HeaderSize:end]) {
			return data
		}
		if fault == nil {
			a.frame(data[:end:end])
		} else {
			a.spoke = true
			w.core.Refuse(a.source, end, protocol.NackInvalid, fault.Error())
		}
		if a.closing {
			return nil
		}
		data = data[end:]
	}
	if a.closing {
		return nil
	}
	if len(data) > 0 {
		a.keepPartial(data)
	}
	if a.partialAt == 0 && (a.discard > 0 || len(a.partial) > 0) {
		a.partialAt, a.brought = w.core.Now(), 0
		w.lookBy(a, a.partialAt+w.cfg.PartialFrame)
	}
	if a.source.OutOfCredit() {
		a.touch() // it may wait for credit that was too little to tell before
	}
	return nil
}

// frame takes one complete frame, header included. Borrowed.
func (a *Agent) frame(frame []byte) {
	body := frame[protocol.HeaderSize:]
	if protocol.IsControl(body[0]) {
		a.controlFrame(body)
		a.spoke = true
		return
	}
	a.spoke = true
	if !a.home.core.Admit(a.source, frame) {
		a.hangUp(protocol.GoawayOverload, "sent a whole window past the credit")
	}
}

// controlFrame obeys a control frame of an agent.
func (a *Agent) controlFrame(body []byte) {
	w := a.home
	m := &w.control
	if err := protocol.ParseControl(body, m); err != nil {
		a.hangUp(protocol.GoawayProtocol, err.Error())
		return
	}
	switch m.Op {
	case protocol.OpHello:
		a.greet(&m.Hello)
	case protocol.OpPing:
		if len(m.Echo) > len(a.pong) {
			a.hangUp(protocol.GoawayProtocol, "PING carries more than 64 bytes")
			return
		}
		a.pongSize = copy(a.pong[:], m.Echo)
		a.touch()
	case protocol.OpWelcome, protocol.OpAck, protocol.OpNack, protocol.OpGoaway:
		a.hangUp(protocol.GoawayProtocol, "frame of a receiver, from a sender")
	}
}

// greet answers a HELLO.
func (a *Agent) greet(h *protocol.Hello) {
	w := a.home
	switch {
	case a.hello || a.spoke:
		a.hangUp(protocol.GoawayProtocol, "HELLO is not the first frame")
		return
	case h.Version < protocol.Version:
		a.hangUp(protocol.GoawayProtocol, "no common version")
		return
	}
	if len(h.Via) > 0 && w.cfg.Lineage != nil {
		if err := w.cfg.Lineage.AddSender(a, h.Via); err != nil {
			a.hangUp(protocol.GoawayProtocol, err.Error())
			return
		}
		a.forwards = true
	}
	a.hello = true
	if w.cfg.Idle > 0 {
		w.lookBy(a, w.core.Now()+w.cfg.Idle)
	}
	frames, bytes := a.source.FirstCredit()
	welcome := protocol.Welcome{
		Version: protocol.Version, Server: w.cfg.Name,
		Frames: frames, Bytes: bytes, MaxFrame: w.cfg.MaxFrame,
		Compression: dispatch.Accepted,
	}
	if a.forwards {
		welcome.Reach = w.cfg.Lineage.Reach()
	}
	a.answers = protocol.AppendWelcome(a.answers, welcome)
	a.touch()
}
