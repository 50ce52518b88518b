package dispatch

import "sluice/protocol"

// Frames are dealt by the read, not one by one. What the sequence gives an
// analyzer out of n numbers is counted first, and then it gets as many frames in
// one span of the read: one copy, one look at the link, one sum of the counters.
// The obvious way, a pick, a copy and five counters for each packet, costs twice as
// much. The shares are those of the sequence, exactly, whenever a read has been
// dealt; within a read neighbours stay together.

// dealing is what dealing a read uses again and again. Owned by one loop.
type dealing struct {
	sizes []uint32 // of the frames that are being dealt
	hands []uint32 // by analyzer, how many of them it gets; 0 in between
	to    []int32  // the analyzers that get any
}

// Deal dispatches the frames at the front of a read that need no look of their
// own: valid data frames within the credit, and of one analyzer where the agent_id
// decides. It returns the bytes that they took; what stopped it is the caller's
// to look at, by Admit if it is a data frame. If that was a frame within the
// credit that failed its scan, fault says why, so that it is not scanned again.
// The source must have credit. data is borrowed.
func (c *Core) Deal(s *Source, data []byte) (taken int, fault error) {
	k := s.credit
	if !c.deals() || s.number >= k.advertisedFrames || s.bytes >= k.advertisedBytes {
		return 0, nil
	}
	frames, bytes := k.advertisedFrames-s.number, k.advertisedBytes-s.bytes
	maxFrame := uint32(c.cfg.MaxFrame)
	sticky, stuckTo := c.cfg.Route == RouteAgent, 0
	sizes := c.dealing.sizes[:0]
	messages := 0
	for uint64(len(sizes)) < frames && len(data)-taken >= protocol.HeaderSize {
		size := protocol.FrameLength(data[taken:])
		if size-1 >= maxFrame { // 0 wraps
			break
		}
		end := taken + protocol.HeaderSize + int(size)
		if end > len(data) || uint64(end) > bytes {
			break
		}
		body := data[taken+protocol.HeaderSize : end : end]
		if !protocol.IsPlain(body[0]) && (protocol.IsControl(body[0]) || c.Interrupted(body) || c.Postponed(body)) {
			break
		}
		if fault = c.inspect.Scan(body, &c.scanned); fault != nil {
			break
		}
		if sticky {
			to := c.stickyTo(s)
			if len(sizes) > 0 && to != stuckTo {
				break
			}
			stuckTo = to
		}
		messages += c.scanned.Messages
		sizes = append(sizes, uint32(end-taken))
		taken = end
	}
	c.dealing.sizes = sizes
	if len(sizes) == 0 {
		return 0, fault
	}
	number := s.number + 1
	c.received(s, len(sizes), taken)
	c.count.ReceivedMessages += uint64(messages)
	if sticky {
		c.dealing.hands[stuckTo] = uint32(len(sizes))
		c.dealing.to = append(c.dealing.to[:0], int32(stuckTo))
	} else {
		c.drawHands(len(sizes))
	}
	c.dealHands(s, number, data, sizes, false)
	return taken, fault
}

// deals says whether frames may be dealt by the read: nothing asks for a look at
// each of them. By packet_id each goes its own way.
func (c *Core) deals() bool {
	return c.cfg.Route != RoutePacket && !c.table.Empty() && !c.shortage && !c.draining
}

// drawHands says how many of the next n frames each analyzer gets.
func (c *Core) drawHands(n int) {
	d := &c.dealing
	d.to = c.table.Deal(c.shared.Sequence.Reserve(uint64(n)), n, d.hands, d.to[:0])
}

// dealHands gives each analyzer its hand of the frames that lie side by side in
// data. promised: they are admitted already, and find a place in any case.
func (c *Core) dealHands(s *Source, number uint64, data []byte, sizes []uint32, promised bool) {
	for _, i := range c.dealing.to {
		n := int(c.dealing.hands[i])
		c.dealing.hands[i] = 0
		c.count.Analyzers[i].Picked += uint64(n)
		data = c.dealTo(c.links[i], s, number, data, sizes[:n], promised)
		number += uint64(n)
		sizes = sizes[n:]
	}
}

// dealTo gives a link the frames of a span, and returns what lies behind them.
// What the link has no room for goes where a single frame would go.
func (c *Core) dealTo(l *Link, s *Source, number uint64, data []byte, sizes []uint32, promised bool) (rest []byte) {
	for len(sizes) > 0 {
		n, bytes := 0, 0
		if l.open() {
			n, bytes = l.flight.TryAppendSpan(data, sizes, s.slot, number, c.nowMS)
		}
		if n > 0 {
			c.admitted(s, n, bytes)
			c.count.Analyzers[l.index].Dispatched += uint64(n)
			l.touch()
		} else {
			n, bytes = 1, int(sizes[0])
			if frame := data[:bytes:bytes]; !c.tryPlace(l, s, number, frame) {
				if promised {
					c.enqueue(&c.queue, s, number, frame, true, false, true)
				} else {
					c.answerRefused(s, number, bytes, protocol.NackBusy, "")
				}
			}
		}
		number += uint64(n)
		data = data[bytes:]
		sizes = sizes[n:]
	}
	return data
}
