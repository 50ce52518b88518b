package dispatch

import (
	"time"

	"sluice/protocol"
)

// reclaim takes the entries of a link's stage from index from on: written
// ones are failed hand-overs and are tried again or refused, unwritten ones
// join the head of the queue as they are. The bytes stay where they lie.
// It returns how many unwritten frames moved.
func (c *Core) reclaim(l *Link, from int) (moved int) {
	for i := l.stage.n - 1; i >= from; i-- { // backwards, so that the queue keeps their order
		e := *l.stage.at(i)
		if e.flags&entrySettled != 0 {
			continue
		}
		l.live--
		l.stage.bytes -= int(e.size)
		if i < l.handed {
			c.failed(l, e)
			continue
		}
		c.requeue(e)
		moved++
	}
	l.stage.dropBack(l.stage.n - from)
	l.handed = min(l.handed, from)
	for l.waiting.n > 0 && l.state != linkReady {
		c.queue.pushBack(*l.waiting.at(0))
		l.waiting.dropFront(1)
	}
	return moved
}

// failed counts a failed hand-over of an entry that has left its link's stage:
// the first time it is tried again at once, then after a delay, in the end
// the sender hears that nobody took it.
func (c *Core) failed(l *Link, e entry) {
	c.count.Analyzers[l.index].Redispatched++
	if e.attempts < 255 {
		e.attempts++
	}
	if int(e.attempts) > c.cfg.MaxRetries {
		c.refused(&e, protocol.NackUnavailable, c.cfg.RetryDelay, "no analyzer acknowledged it within the retry limit")
		return
	}
	if e.attempts == 1 {
		c.requeue(e)
		return
	}
	delay := c.retryDelay(&e)
	e.at = uint32((c.now + delay) / time.Millisecond)
	if c.delayed.n == 0 || c.now+delay < c.nextDue {
		c.nextDue = c.now + delay
	}
	c.shared.queued.Add(1)
	c.delayed.pushBack(e)
}

// retryDelay doubles with each attempt after the second; the jitter of a
// quarter either way comes from the frame's number, so that a run replays.
func (c *Core) retryDelay(e *entry) time.Duration {
	delay := c.cfg.RetryDelay
	for i := uint8(2); i < e.attempts && delay < maxRetryDelay; i++ {
		delay *= 2
	}
	jitter := (e.number*0x9E3779B97F4A7C15 + uint64(e.attempts)) >> 48 & 0xff
	return delay*3/4 + delay*time.Duration(jitter)/512
}

// requeue puts an admitted entry at the head of the queue. It is never
// refused: it was admitted before.
func (c *Core) requeue(e entry) {
	e.at = c.nowMS
	c.shared.queued.Add(1)
	c.queue.pushFront(e)
}

// drainQueue hands waiting frames to links with room, from the head.
func (c *Core) drainQueue() {
	if c.table.Empty() {
		return
	}
	for c.queue.n > 0 {
		e := c.queue.at(0)
		l, room := c.linkFor(e)
		switch {
		case room:
			c.handTo(l, e)
		case l == nil:
			return
		default:
			l.waiting.pushBack(*e)
		}
		c.queue.dropFront(1)
	}
}

// linkFor chooses the link of a waiting entry. Nil: none has room. A link
// without room: the entry waits for that one.
func (c *Core) linkFor(e *entry) (l *Link, room bool) {
	size := int(e.size)
	if c.cfg.Route == RouteWeighted && !c.cfg.Strict {
		if e.flags&entryPicked == 0 {
			if l = c.pickWaiting(e); c.room(l, size) {
				return l, true
			}
			c.count.Spilled++
		}
		l = c.anyRoom(size)
		return l, l != nil
	}
	switch {
	case c.cfg.Route != RouteWeighted:
		// It passed the scan when it was admitted.
		if c.inspect.Scan(c.chunks.frame(e)[protocol.HeaderSize:], &c.scanned) != nil {
			return c.anyRoom(size), false
		}
		l = c.links[c.table.Rendezvous(c.key())]
		e.flags |= entryPicked
	case e.flags&entryPicked == 0:
		l = c.pickWaiting(e)
	default:
		if l = c.anyRoom(size); l == nil {
			return nil, false
		}
	}
	return l, c.room(l, size)
}

// pickWaiting is the first pick of an entry that was admitted while there was
// nobody to pick.
func (c *Core) pickWaiting(e *entry) *Link {
	e.flags |= entryPicked
	return c.pick(c.sessions[e.session])
}

// drainWaiting hands a link the frames that wait for it alone.
func (c *Core) drainWaiting(l *Link) {
	for l.waiting.n > 0 && c.room(l, int(l.waiting.at(0).size)) {
		c.handTo(l, l.waiting.at(0))
		l.waiting.dropFront(1)
	}
}

// handTo copies a waiting frame to a link's stage.
func (c *Core) handTo(l *Link, e *entry) {
	staged := l.stage.tryAppend(&c.chunks, c.chunks.frame(e), true)
	staged.number, staged.session, staged.at, staged.attempts, staged.flags = e.number, e.session, c.nowMS, e.attempts, e.flags
	c.chunks.release(e.chunk, 1)
	c.shared.queued.Add(-1)
	l.live++
	if e.attempts > 0 {
		c.count.Redispatched++
	} else {
		c.count.Analyzers[l.index].Dispatched++
	}
	c.touchLink(l)
}

// delivered settles the first k entries of a link's stage, which its analyzer
// acknowledged, and returns how many of them had no answer before. It goes by
// runs: the frames of a span, unless something happened to one of them.
func (c *Core) delivered(l *Link, k int) (frames int) {
	bytes := 0
	for i := 0; i < k; {
		e := l.stage.at(i)
		if e.flags&entrySettled != 0 {
			i++
			continue
		}
		n, size := l.stage.run(i, k)
		s := c.sessions[e.session]
		if s.observer == nil {
			s.seq.SettleRun(e.number, uint64(n))
			c.touch(s)
		} else {
			for j := range n {
				e := l.stage.at(i + j)
				s.observer.Delivered(e.number, l.index, int(e.size))
			}
		}
		c.chunks.release(e.chunk, int32(n))
		s.settledSize += uint64(size)
		c.answered(s, n)
		c.retire(s)
		frames, bytes = frames+n, bytes+size
		i += n
	}
	l.credit.Settled(frames, bytes)
	l.stage.bytes -= bytes
	l.live -= frames
	return frames
}

// refused settles an admitted entry that nobody takes. The entry has left its
// stage; a sender that is gone hears nothing, and a frame that we answer for
// becomes a dead letter.
func (c *Core) refused(e *entry, code protocol.NackCode, retry time.Duration, text string) {
	s := c.sessions[e.session]
	c.answered(s, 1)
	switch {
	case s.gone:
		c.count.Abandoned++
		c.retire(s)
	case s.observer != nil:
		if s.owned {
			c.count.DeadLettered++
		} else {
			c.count.reject(code)
		}
		s.observer.Refused(e.number, code, c.chunks.frame(e))
	default:
		c.count.reject(code)
		c.sayNack(s, e.number, code, retry, text)
		c.settle(s, e.number, int(e.size))
	}
	c.chunks.release(e.chunk, 1)
}

// expire refuses what has waited in the queue for longer than QueueTimeout.
func (c *Core) expire(q *ring) {
	limit := uint32(c.cfg.QueueTimeout / time.Millisecond)
	q.filter(func(e *entry) bool {
		if c.nowMS-e.at <= limit {
			return true
		}
		c.shared.queued.Add(-1)
		c.refused(e, protocol.NackUnavailable, c.cfg.RetryDelay, "no analyzer took it within the queue timeout")
		return false
	})
}

// wakeDelayed moves the entries whose delay is over to the queue.
func (c *Core) wakeDelayed() {
	if c.delayed.n == 0 || c.now < c.nextDue {
		return
	}
	now := c.nowMS
	next := time.Duration(1<<63 - 1)
	c.delayed.filter(func(e *entry) bool {
		if int32(now-e.at) < 0 {
			next = min(next, c.now+time.Duration(e.at-now)*time.Millisecond)
			return true
		}
		e.at = now
		c.queue.pushBack(*e)
		return false
	})
	c.nextDue = next
}
