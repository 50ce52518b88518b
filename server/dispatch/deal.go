package dispatch

import "sluice/protocol"

// Frames are dealt by the read, not one by one. What the sequence gives an
// analyzer out of n numbers is counted first, and then it gets as many frames in
// one span of the read: one copy, one look at the link, one sum of the counters.
// The obvious way, a pick, a copy and five counters for each packet, costs twice as
// much. The shares are those of the sequence, exactly, whenever a read has been
// dealt; within a read neighbours stay together.

// deal dispatches the frames at the front of a read that need no look of their
// own: valid data frames within the credit, and of one analyzer where the agent_id
// decides. It returns the bytes that they took; what stopped it is the caller's. If
// that was a frame within the credit that failed its scan, fault says why, so that it
// is not scanned again. data is borrowed.
func (c *Core) deal(s *Session, data []byte) (taken int, fault error) {
	if s.number >= s.creditFrames || s.bytes >= s.creditBytes {
		return 0, nil
	}
	frames, bytes := s.creditFrames-s.number, s.creditBytes-s.bytes
	maxFrame := uint32(c.cfg.MaxFrame)
	sticky, stuckTo := c.cfg.Route == RouteAgent, 0
	sizes := c.sizes[:0]
	messages := 0
	for uint64(len(sizes)) < frames && len(data)-taken >= protocol.HeaderSize {
		size := protocol.FrameLength(data[taken:])
		if size-1 >= maxFrame {
			break
		}
		end := taken + protocol.HeaderSize + int(size)
		if end > len(data) || uint64(end) > bytes {
			break
		}
		body := data[taken+protocol.HeaderSize : end : end]
		if protocol.IsControl(body[0]) {
			break
		}
		if fault = c.inspect.Scan(body, &c.scanned); fault != nil {
			break
		}
		if sticky {
			to := c.sticky(s)
			if len(sizes) > 0 && to != stuckTo {
				break
			}
			stuckTo = to
		}
		messages += c.scanned.Messages
		sizes = append(sizes, uint32(end-taken))
		taken = end
	}
	c.sizes = sizes
	if len(sizes) == 0 {
		return 0, fault
	}
	number := s.number + 1
	c.received(s, len(sizes), taken)
	c.count.ReceivedMessages += uint64(messages)
	if sticky {
		c.hands[stuckTo] = uint32(len(sizes))
		c.dealt = append(c.dealt[:0], int32(stuckTo))
	} else {
		c.dealt = c.table.Deal(c.shared.Sequence.Reserve(uint64(len(sizes))), len(sizes), c.hands, c.dealt[:0])
	}
	for _, i := range c.dealt {
		n := int(c.hands[i])
		c.hands[i] = 0
		c.count.Analyzers[i].Picked += uint64(n)
		data = c.dealTo(c.links[i], s, number, data, sizes[:n])
		number += uint64(n)
		sizes = sizes[n:]
	}
	return taken, fault
}

// dealTo gives a link the frames of a span, and returns what lies behind them.
// What the link has no room for goes where a single frame would go.
func (c *Core) dealTo(l *Link, s *Session, number uint64, data []byte, sizes []uint32) (rest []byte) {
	for len(sizes) > 0 {
		n, bytes := 0, 0
		if c.open(l) {
			n, bytes = l.stage.tryAppendSpan(&c.chunks, data, sizes, c.roomFrames(l), c.roomBytes(l), s.slot, number, c.nowMS)
		}
		if n > 0 {
			l.live += n
			c.admitted(s, n)
			c.count.Analyzers[l.index].Dispatched += uint64(n)
			c.touchLink(l)
		} else {
			n, bytes = 1, int(sizes[0])
			if !c.place(l, s, number, data[:bytes:bytes]) {
				c.nackNow(s, number, bytes, protocol.NackBusy, "")
			}
		}
		number += uint64(n)
		data = data[bytes:]
		sizes = sizes[n:]
	}
	return data
}

// deals says whether the frames that come now may be dealt by the read: nothing
// asks for a look at each of them. By packet_id each goes its own way.
func (c *Core) deals(s *Session) bool {
	return c.cfg.Route != RoutePacket && !c.table.Empty() && !c.short && !c.draining && !s.drained
}
