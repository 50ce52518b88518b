package dispatch

import (
	"time"

	"sluice/protocol"
	"sluice/server/stage"
)

// reclaimAll takes everything back from a link whose connection is closed:
// written frames are failed hand-overs and are tried again or refused, unwritten
// ones join the head of the queue as they are. The bytes stay where they lie.
func (l *Link) reclaimAll() {
	for { // from the back, so that the queue keeps their order
		e, written, ok := l.flight.TakeLast()
		if !ok {
			break
		}
		if written {
			l.core.failed(l, e, 0)
		} else {
			l.core.requeue(e)
		}
	}
	l.flight.Close()
	l.waiting.MoveAll(&l.core.queue)
}

// reclaimUnwritten takes the frames back that were not written. It returns how
// many these were.
func (l *Link) reclaimUnwritten() (moved int) {
	for {
		e, ok := l.flight.TakeUnwritten()
		if !ok {
			return moved
		}
		l.core.requeue(e)
		moved++
	}
}

// failed counts a failed hand-over of an entry that has left its link's window:
// the first time it is tried again at once, then after a delay, at least after; in
// the end the sender hears that nobody took it.
func (c *Core) failed(l *Link, e stage.Entry, after time.Duration) {
	c.count.Analyzers[l.index].Redispatched++
	if e.Attempts < 255 {
		e.Attempts++
	}
	if int(e.Attempts) > c.cfg.MaxRetries {
		c.reject(&e, protocol.NackUnavailable, c.cfg.RetryDelay, "no analyzer acknowledged it within the retry limit")
		return
	}
	delay := after
	if e.Attempts > 1 {
		delay = max(delay, c.retryDelay(&e))
	}
	if delay == 0 {
		c.requeue(e)
		return
	}
	e.At = uint32((c.now + delay) / time.Millisecond)
	if c.delayed.Len() == 0 || c.now+delay < c.nextDue {
		c.nextDue = c.now + delay
	}
	c.delayed.PushBack(e)
}

// retryDelay doubles with each attempt after the second; the jitter of a
// quarter either way comes from the frame's number, so that a run replays.
func (c *Core) retryDelay(e *stage.Entry) time.Duration {
	delay := c.cfg.RetryDelay
	for i := uint8(2); i < e.Attempts && delay < maxRetryDelay; i++ {
		delay *= 2
	}
	jitter := (e.Number*0x9E3779B97F4A7C15 + uint64(e.Attempts)) >> 48 & 0xff
	return delay*3/4 + delay*time.Duration(jitter)/512
}

// requeue puts an admitted entry at the head of the queue. It is never
// refused: it was admitted before.
func (c *Core) requeue(e stage.Entry) {
	e.At = c.nowMS
	c.queue.PushFront(e)
}

// drainQueue hands waiting frames to links with room, from the head.
func (c *Core) drainQueue() {
	if c.queue.Len() == 0 || c.table.Empty() {
		return
	}
	for c.queue.Len() > 0 {
		l, fits := c.linkFor(c.queue.Front())
		switch {
		case fits:
			c.handTo(l, c.queue.Pop())
		case l == nil:
			return
		default:
			c.queue.MoveFront(&l.waiting)
		}
	}
}

// linkFor chooses the link of a waiting entry. Nil: none has room. A link
// without room: the entry waits for that one.
func (c *Core) linkFor(e *stage.Entry) (l *Link, fits bool) {
	size := e.Size()
	if c.cfg.Promises() {
		if !e.Picked() {
			if l = c.pickWaiting(e); l.fits(size) {
				return l, true
			}
			c.count.Spilled++
		}
		l = c.anyFits(size)
		return l, l != nil
	}
	switch {
	case c.cfg.Route != RouteWeighted:
		// It passed the scan when it was admitted.
		if c.inspect.Scan(c.pool.Frame(e)[protocol.HeaderSize:], &c.scanned) != nil {
			return c.anyFits(size), false
		}
		l = c.links[c.table.Rendezvous(c.key())]
		e.SetPicked()
	case !e.Picked():
		l = c.pickWaiting(e)
	default:
		if l = c.anyFits(size); l == nil {
			return nil, false
		}
	}
	return l, l.fits(size)
}

// pickWaiting is the first pick of an entry that was admitted while there was
// nobody to pick.
func (c *Core) pickWaiting(e *stage.Entry) *Link {
	e.SetPicked()
	return c.pick(c.sources.all[e.Source])
}

// drainWaiting hands a link the frames that wait for it alone.
func (l *Link) drainWaiting() {
	for l.waiting.Len() > 0 && l.fits(l.waiting.Front().Size()) {
		l.core.handTo(l, l.waiting.Pop())
	}
}

// handTo moves a frame that waited to a link's window. It is copied, so that it
// is written in one piece with its neighbours and the chunk where it lay comes
// free; but not past the byte budget. A frame that goes from one link to the next
// keeps a whole chunk each time that others of it stay behind: copied in any case,
// the frames of a few megabytes were seen to hold three times as much.
func (c *Core) handTo(l *Link, e stage.Entry) {
	e.At = c.nowMS
	if l.flight.TryAppend(c.pool.Frame(&e), e) {
		c.pool.Release(&e)
	} else {
		l.flight.Adopt(e)
	}
	if e.Attempts > 0 {
		c.count.Redispatched++
	} else {
		c.count.Analyzers[l.index].Dispatched++
	}
	l.touch()
}

// expire refuses what has waited in the queue for longer than QueueTimeout.
func (c *Core) expire(q *stage.WaitQueue) {
	limit := uint32(c.cfg.QueueTimeout / time.Millisecond)
	q.TakeIf(func(e *stage.Entry) bool {
		if c.nowMS-e.At <= limit {
			return false
		}
		c.reject(e, protocol.NackUnavailable, c.cfg.RetryDelay, "no analyzer took it within the queue timeout")
		return true
	})
}

// wakeDelayed moves the entries whose delay is over to the queue.
func (c *Core) wakeDelayed() {
	if c.delayed.Len() == 0 || c.now < c.nextDue {
		return
	}
	now := c.nowMS
	next := time.Duration(1<<63 - 1)
	c.delayed.TakeIf(func(e *stage.Entry) bool {
		if int32(now-e.At) < 0 {
			next = min(next, c.now+time.Duration(e.At-now)*time.Millisecond)
			return false
		}
		woken := *e
		woken.At = now
		c.queue.PushBack(woken)
		return true
	})
	c.nextDue = next
}

// reject settles an admitted entry that nobody takes, which has left its place:
// a sender that is gone hears nothing, and a frame that we answer for is kept by
// its owner.
func (c *Core) reject(e *stage.Entry, code protocol.NackCode, retry time.Duration, text string) {
	s := c.sources.all[e.Source]
	c.answered(s, 1, e.Size())
	switch {
	case s.answersFor:
		c.count.DeadLettered++
	case s.closed:
		c.count.Abandoned++
	default:
		c.count.reject(code)
	}
	if s.credit != nil {
		s.credit.settle(e.Number, 1, e.Size())
	}
	c.refusal = Refusal{Number: e.Number, Code: code, RetryAfter: retry, Text: text, Frame: c.pool.Frame(e)}
	s.owner.Refused(&c.refusal)
	c.refusal.Frame = nil
	c.pool.Release(e)
	c.retire(s)
}
