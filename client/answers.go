package client

import (
	"slices"
	"time"

	"sluice/protocol"
)

// manyOutcomes is when outcomes are told although more answers wait.
const manyOutcomes = 4096

// read parses answers until the connection fails. It tells outcomes when it
// would otherwise wait for more bytes.
func (c *Client) read(s *session) {
	defer close(s.reader)
	var (
		frames = protocol.NewFrameReader(s.nc, protocol.MaxControlFrame)
		ctl    protocol.Control
		outs   []settled
	)
	for {
		body, err := frames.Next()
		if err == nil {
			outs, err = c.answer(s, body, &ctl, outs)
		}
		if err != nil || frames.Buffered() == 0 || len(outs) > manyOutcomes {
			c.deliver(outs)
			clear(outs)
			outs = outs[:0]
		}
		if err != nil {
			c.mu.Lock()
			c.fail(s, err)
			c.mu.Unlock()
			return
		}
	}
}

// answer acts on one frame from the receiver. Outcomes are appended to outs. An
// error ends the connection.
func (c *Client) answer(s *session, body []byte, ctl *protocol.Control, outs []settled) ([]settled, error) {
	if !protocol.IsControl(body[0]) {
		return outs, &ProtocolError{"a data frame from the receiver"}
	}
	if err := protocol.ParseControl(body, ctl); err != nil {
		return outs, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.watch.heard = true
	switch ctl.Op {
	case protocol.OpAck:
		return c.ack(s, ctl, outs)
	case protocol.OpNack:
		return c.nack(s, ctl, outs)
	case protocol.OpWelcome:
		return outs, c.welcome(s, &ctl.Welcome)
	case protocol.OpPing:
		if len(s.control) > maxPendingControl {
			return outs, &ProtocolError{"PINGs, but our PONGs are not read"}
		}
		s.control = protocol.AppendPong(s.control, ctl.Echo)
		c.wake()
	case protocol.OpGoaway:
		code := protocol.GoawayCode(ctl.Code)
		if code != protocol.GoawayDrain {
			return outs, &GoawayError{Code: code, Text: string(ctl.Text)}
		}
		s.drain()
		c.wake()
	case protocol.OpHello:
		return outs, &ProtocolError{"HELLO from the receiver"}
	}
	return outs, nil
}

// ack settles every frame up to n and takes the new credit. With c.mu.
func (c *Client) ack(s *session, ctl *protocol.Control, outs []settled) ([]settled, error) {
	if ctl.N > s.window.Number() {
		return outs, &ProtocolError{"ACK of a frame that was never sent"}
	}
	s.window.Raise(ctl.Frames, ctl.Bytes)
	inFlight, _ := s.window.Unsettled()
	delivered, bytes := 0, 0
	if n := int(ctl.N + 1 - min(s.first, ctl.N+1)); n > 0 {
		outs, delivered, bytes = c.settle(n, outs)
		s.first += uint64(n)
	}
	s.window.Settled(delivered, bytes)
	if delivered > 0 {
		s.watch.settled = true
		c.stats.Delivered += uint64(delivered)
		c.failures = 0
		if !c.paused() {
			c.pause.backoff = 0
		}
		if c.window.bounded() {
			c.window.acknowledged(ctl.N, delivered, inFlight, time.Now())
		}
		c.freed(delivered)
	}
	if c.unsent > 0 || c.again.n > 0 || s.draining {
		c.wake()
	}
	return outs, nil
}

// settle takes the first n packets off the queue: all of them were sent, and
// those that have no answer yet are delivered. With c.mu.
func (c *Client) settle(n int, outs []settled) (_ []settled, delivered, bytes int) {
	var in *chunk // of the frames at hand
	refs := 0     // of them
	outs = slices.Grow(outs, n)
	for i := range n {
		e := c.queue.at(i)
		if e.chunk == nil { // a NACK came first
			continue
		}
		if e.chunk != in {
			if refs > 0 {
				c.stage.release(in, refs)
			}
			in, refs = e.chunk, 0
		}
		refs++
		outs = append(outs, settled{tag: e.tag, resends: resends(e)})
		bytes += int(e.size)
		delivered++
	}
	if refs > 0 {
		c.stage.release(in, refs)
	}
	c.queue.drop(n)
	c.sent -= n
	return outs, delivered, bytes
}

// nack answers frames n … n+count-1. The first answer to a frame is final:
// frames that have one are passed over. With c.mu.
func (c *Client) nack(s *session, ctl *protocol.Control, outs []settled) ([]settled, error) {
	sent := s.window.Number()
	if ctl.N == 0 || ctl.N > sent || ctl.Count > sent-ctl.N+1 {
		return outs, &ProtocolError{"NACK of a frame that was never sent"}
	}
	code := protocol.NackCode(ctl.Code)
	text := ""
	refused := uint64(0) // number of the last frame to be sent again later
	inFlight, _ := s.window.Unsettled()
	for n := max(ctl.N, s.first); n < ctl.N+ctl.Count; n++ {
		slot := c.queue.at(int(n - s.first))
		if slot.chunk == nil {
			continue
		}
		e := *slot
		slot.chunk = nil
		s.window.Settled(1, int(e.size))
		switch code {
		case protocol.NackBusy, protocol.NackUnavailable:
			c.stats.Busy++
			*c.again.extend() = e
			refused = n
		case protocol.NackDraining:
			*c.again.extend() = e
			s.drain()
		default: // invalid, too_large, unauthorized, and codes of later versions
			if text == "" {
				text = string(ctl.Text)
			}
			outs = append(outs, c.refuse(e, code, text))
		}
	}
	if refused > 0 {
		now := time.Now()
		c.window.refused(refused, sent, inFlight, now)
		c.pauseFor(ctl.RetryAfter, now)
	}
	c.wake()
	return outs, nil
}

// welcome takes what the receiver offers. With c.mu.
func (c *Client) welcome(s *session, w *protocol.Welcome) error {
	switch {
	case !s.hello || s.welcomed:
		return &ProtocolError{"WELCOME without HELLO"}
	case w.Version != protocol.Version:
		return &ProtocolError{"WELCOME with a version that we do not speak"}
	case c.compressing && !accepts(w, c.cfg.Compression):
		return errCompression
	}
	if !c.decided {
		c.compressing = accepts(w, c.cfg.Compression)
		c.decide()
	}
	s.welcomed, s.ready = true, true
	s.window.Raise(w.Frames, w.Bytes)
	if w.MaxFrame > 0 {
		s.maxFrame = w.MaxFrame
	}
	c.wake()
	return nil
}

// decide lets Send go on once it is known whether to compress. With c.mu.
func (c *Client) decide() {
	c.decided = true
	if !c.compressing && c.cfg.Compression != protocol.None {
		c.log.Warn("receiver does not take this compression, sending plain", "compression", c.cfg.Compression.String())
	}
	c.room.Broadcast()
}
