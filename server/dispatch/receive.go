package dispatch

import (
	"time"

	"sluice/protocol"
)

// Receive takes what was read from a session's connection: all complete
// frames are dispatched, the tail of a cut one is kept. data is borrowed.
func (c *Core) Receive(s *Session, data []byte) {
	if s.closing || s.gone {
		return
	}
	s.heardAt = c.now
	c.wet(s)
	if s.discard > 0 || len(s.partial) > 0 {
		if data = c.resume(s, data); s.closing {
			return
		}
		if s.discard == 0 && len(s.partial) == 0 {
			s.partialAt = 0
		}
	}
	deals := c.deals(s)
	maxFrame := uint32(c.cfg.MaxFrame)
	for len(data) >= protocol.HeaderSize {
		var fault error
		if deals {
			var taken int
			taken, fault = c.deal(s, data)
			if s.closing {
				return
			}
			if data = data[taken:]; len(data) < protocol.HeaderSize {
				break
			}
		}
		size := protocol.FrameLength(data)
		if size-1 >= maxFrame { // 0 wraps
			c.badLength(s)
			return
		}
		end := protocol.HeaderSize + int(size)
		if len(data) < end {
			break
		}
		if fault == nil {
			c.frame(s, data[:end:end])
		} else {
			c.received(s, 1, end)
			c.nackNow(s, s.number, end, protocol.NackInvalid, fault.Error())
		}
		if s.closing {
			return
		}
		data = data[end:]
	}
	if len(data) > 0 {
		c.keepPartial(s, data)
	}
	if s.partialAt == 0 && (s.discard > 0 || len(s.partial) > 0) {
		s.partialAt = c.now
		c.lookBy(s, c.now+c.cfg.PartialFrame)
	}
	if c.stuck(s) {
		c.touch(s) // it may wait for credit that was too little to tell before
	}
}

// resume completes the frame that the last read cut, and returns the data
// behind it.
func (c *Core) resume(s *Session, data []byte) []byte {
	if s.discard > 0 {
		n := min(s.discard, len(data))
		s.discard -= n
		return data[n:]
	}
	for len(s.partial) < protocol.HeaderSize {
		if len(data) == 0 {
			return nil
		}
		s.partial = append(s.partial, data[0])
		data = data[1:]
	}
	size := protocol.FrameLength(s.partial)
	if size-1 >= uint32(c.cfg.MaxFrame) {
		c.badLength(s)
		return nil
	}
	missing := protocol.HeaderSize + int(size) - len(s.partial)
	take := min(missing, len(data))
	if !c.growPartial(s, data[:take]) {
		c.refuseCut(s, data[:take])
		return data[take:]
	}
	if take == missing {
		whole := s.partial
		c.frame(s, whole)
		c.dropPartial(s)
	}
	return data[take:]
}

// keepPartial keeps the received part of a cut frame. Its length is judged as
// soon as it is known; memory grows with what was received, not with it.
func (c *Core) keepPartial(s *Session, data []byte) {
	if n := len(c.partials); n > 0 {
		s.partial = c.partials[n-1]
		c.partials = c.partials[:n-1]
		s.charged = int64(cap(s.partial))
		c.chunks.budget.used.Add(s.charged) // at most sparePartials of these: not worth a refusal
	}
	if len(data) >= protocol.HeaderSize {
		if size := protocol.FrameLength(data); size-1 >= uint32(c.cfg.MaxFrame) {
			c.badLength(s)
			return
		}
	}
	if !c.growPartial(s, data) {
		c.refuseCut(s, data)
	}
}

// growPartial appends to the cut frame, charging what the buffer grows by.
// False means that the budget is used up.
func (c *Core) growPartial(s *Session, data []byte) bool {
	need := len(s.partial) + len(data)
	if need > cap(s.partial) {
		size := max(2*cap(s.partial), need, 1024)
		grown := int64(size) - s.charged
		if !c.chunks.budget.tryTake(grown) {
			return false
		}
		s.charged += grown
		bigger := make([]byte, len(s.partial), size)
		copy(bigger, s.partial)
		s.partial = bigger
	}
	s.partial = append(s.partial, data...)
	return true
}

// dropPartial forgets a cut frame, keeping its buffer for the next one.
func (c *Core) dropPartial(s *Session) {
	if s.partial == nil {
		return
	}
	c.chunks.budget.give(s.charged)
	if s.charged > 0 && cap(s.partial) <= sparePartialBytes && len(c.partials) < sparePartials {
		c.partials = append(c.partials, s.partial[:0])
	}
	s.partial, s.charged = nil, 0
}

// badLength answers a length that cannot be: the frame will never be accepted,
// and what follows it cannot be found.
func (c *Core) badLength(s *Session) {
	c.received(s, 1, 0)
	c.nackNow(s, s.number, 0, protocol.NackTooLarge, "length is not 1 to the largest frame")
	c.hangUp(s, protocol.GoawayProtocol, "frame length is not 1 to the largest frame")
}

// refuseCut answers a cut frame, of which partial and data have arrived, that
// there is no memory for: a data frame is busy, and the rest of its body is
// discarded as it arrives. A control frame has no number to answer by, so it
// ends the connection. What is too little to tell which is held uncharged; it
// is at most a header.
func (c *Core) refuseCut(s *Session, data []byte) {
	have := len(s.partial) + len(data)
	if have <= protocol.HeaderSize {
		s.partial = append(s.partial, data...)
		return
	}
	var head [protocol.HeaderSize + 1]byte
	copy(head[copy(head[:], s.partial):], data)
	if protocol.IsControl(head[protocol.HeaderSize]) {
		c.hangUp(s, protocol.GoawayOverload, "out of memory budget")
		return
	}
	size := protocol.HeaderSize + int(protocol.FrameLength(head[:]))
	s.discard = size - have
	c.received(s, 1, size)
	c.dropPartial(s)
	c.nackNow(s, s.number, size, protocol.NackBusy, "out of memory budget")
}

// received counts data frames of so many bytes in all, whatever becomes of them.
func (c *Core) received(s *Session, frames, bytes int) {
	s.number += uint64(frames)
	s.bytes += uint64(bytes)
	s.spoke = true
	c.count.Received += uint64(frames)
	c.count.ReceivedBytes += uint64(bytes)
}

// frame takes one complete frame, header included. Borrowed.
func (c *Core) frame(s *Session, frame []byte) {
	body := frame[protocol.HeaderSize:]
	if protocol.IsControl(body[0]) {
		c.controlFrame(s, body)
		return
	}
	c.received(s, 1, len(frame))
	if s.number > s.creditFrames || s.bytes > s.creditBytes {
		if c.pastCredit(s, len(frame)) {
			return
		}
	}
	if c.draining || s.drained {
		c.nackNow(s, s.number, len(frame), protocol.NackDraining, "")
		return
	}
	if c.short && c.overPart(s) {
		c.nackNow(s, s.number, len(frame), protocol.NackBusy, "holds more than its part of a full queue")
		return
	}
	if err := c.inspect.Scan(body, &c.scanned); err != nil {
		c.nackNow(s, s.number, len(frame), protocol.NackInvalid, err.Error())
		return
	}
	c.count.ReceivedMessages += uint64(c.scanned.Messages)
	if !c.tryPlace(s, s.number, frame) {
		c.nackNow(s, s.number, len(frame), protocol.NackBusy, "")
	}
}

// pastCredit answers a frame that the sender had no credit for: busy within
// one more window, the end of the connection beyond. False: it may pass,
// because a sender with nothing unsettled may always send one frame. What counts
// is what it was told: frames that settle at once, being invalid, would else
// let one turn bring forth any number of answers.
func (c *Core) pastCredit(s *Session, size int) bool {
	if s.unsettled == 0 && s.told == s.number-1 {
		return false
	}
	if s.number > s.creditFrames+uint64(c.cfg.SessionWindowFrames) ||
		s.bytes > s.creditBytes+uint64(c.cfg.SessionWindowBytes)+uint64(c.cfg.MaxFrame) {
		c.nackNow(s, s.number, size, protocol.NackBusy, "past the credit")
		c.hangUp(s, protocol.GoawayOverload, "sent a whole window past the credit")
		return true
	}
	c.nackNow(s, s.number, size, protocol.NackBusy, "past the credit")
	return true
}

// nackNow answers a frame that was not admitted.
func (c *Core) nackNow(s *Session, number uint64, size int, code protocol.NackCode, text string) {
	c.count.reject(code)
	retry := time.Duration(0)
	if code == protocol.NackBusy {
		retry = c.shared.RetryAfter()
	}
	c.sayNack(s, number, code, retry, text)
	c.settle(s, number, size)
}

// controlFrame obeys a control frame of an agent.
func (c *Core) controlFrame(s *Session, body []byte) {
	if err := protocol.ParseControl(body, &c.control); err != nil {
		c.hangUp(s, protocol.GoawayProtocol, err.Error())
		return
	}
	switch c.control.Op {
	case protocol.OpHello:
		switch {
		case s.hello || s.spoke:
			c.hangUp(s, protocol.GoawayProtocol, "HELLO is not the first frame")
		case c.control.Hello.Version < protocol.Version:
			c.hangUp(s, protocol.GoawayProtocol, "no common version")
		default:
			s.hello = true
			if c.cfg.Idle > 0 {
				c.lookBy(s, c.now+c.cfg.Idle)
			}
			s.answers = protocol.AppendWelcome(s.answers, c.welcome(s))
			c.touch(s)
		}
	case protocol.OpPing:
		if len(c.control.Echo) > len(s.pong) {
			c.hangUp(s, protocol.GoawayProtocol, "PING carries more than 64 bytes")
			return
		}
		s.pongSize = copy(s.pong[:], c.control.Echo)
		c.touch(s)
	case protocol.OpWelcome, protocol.OpAck, protocol.OpNack, protocol.OpGoaway:
		c.hangUp(s, protocol.GoawayProtocol, "frame of a receiver, from a sender")
	}
	s.spoke = true
}

func (c *Core) welcome(s *Session) protocol.Welcome {
	s.creditFrames, s.creditBytes = c.credit(s)
	return protocol.Welcome{
		Version: protocol.Version, Server: c.cfg.Name,
		Frames: s.creditFrames, Bytes: s.creditBytes, MaxFrame: c.cfg.MaxFrame,
		Compression: accepted,
	}
}

// accepted is every compression that the scan inflates.
var accepted = []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip}
