package receive

import "sluice/protocol"

// take goes through all complete frames of the last read. Data frames within
// the credit go to the inbox, neighbours in one copy; everything else is
// answered here. One write at its end carries the answers.
func (c *conn) take() *fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return nil
	}
	t := taking{conn: c}
	f := t.frames()
	t.flush()
	c.consumed = t.any
	if c.working == 0 && c.inbox.empty() {
		c.announce()
	} else {
		c.wake.Signal()
	}
	c.write()
	return f
}

// taking is the state of one take: the span of frames in the read buffer that
// were admitted and not yet copied.
type taking struct {
	*conn
	from, to int    // the span, as offsets in in.buf
	count    int    // frames in it
	first    uint64 // number of its first frame
	last     uint64 // number of the inbox's last frame, 0: not known
	any      bool
}

func (t *taking) frames() *fault {
	for {
		frame, tooLong := t.in.next()
		if tooLong != nil {
			t.flush()
			return t.refuseLength(tooLong)
		}
		if frame == nil {
			return nil
		}
		t.any = true
		if protocol.IsControl(frame[protocol.HeaderSize]) {
			t.flush()
			if f := t.control(frame[protocol.HeaderSize:]); f != nil {
				return f
			}
			t.started = true
			continue
		}
		t.started = true
		t.conn.frames++
		t.bytes += uint64(len(frame))
		if t.draining || t.conn.frames > t.grantFrames || t.bytes > t.grantBytes && t.acked != t.conn.frames-1 {
			t.flush()
			if f := t.refuse(len(frame)); f != nil {
				return f
			}
			continue
		}
		if t.from == t.to {
			t.from, t.first = t.in.start-len(frame), t.conn.frames
		}
		t.to = t.in.start
		t.count++
	}
}

// flush copies the span to the inbox, or settles it where nobody wants to see
// it.
func (t *taking) flush() {
	if t.from == t.to {
		return
	}
	size := t.to - t.from
	if t.srv.cfg.Discard {
		t.settle(uint64(t.count), uint64(size))
		if hook := t.srv.cfg.Discarded; hook != nil {
			hook(t.count, size)
		}
	} else {
		t.inbox.add(&t.free, t.first, t.in.buf[t.from:t.to], t.last != 0 && t.first == t.last+1)
		t.last = t.first + uint64(t.count) - 1
	}
	t.from, t.to, t.count = 0, 0, 0
}
