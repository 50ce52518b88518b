package dispatch

import (
	"sluice/protocol"
	"sluice/server/stage"
)

// Drain stops admission: what still arrives is answered draining, and what was
// admitted is settled as ever.
func (c *Core) Drain() { c.draining = true }

// Unsettled returns how many admitted frames of all sources have no answer.
func (c *Core) Unsettled() int {
	n := c.queue.Len() + c.delayed.Len()
	for _, l := range c.links {
		n += l.flight.Live() + l.waiting.Len()
	}
	return n
}

// DeadLetterAll rejects all frames that the distributor answers for and that have
// no answer yet, wherever they are, so that their owners keep them. For the end of
// a drain: their senders were told 202 and will not send them again. One that was
// written to an analyzer may so be delivered twice.
func (c *Core) DeadLetterAll() {
	ours := func(e *stage.Entry) bool { return c.sources.all[e.Source].answersFor }
	for _, l := range c.links {
		l.reclaimUnwritten()
		l.flight.TakeWrittenIf(ours, func(e stage.Entry) { c.reject(&e, protocol.NackDraining, 0, "") })
		c.rejectIf(&l.waiting, ours)
	}
	c.rejectIf(&c.queue, ours)
	c.rejectIf(&c.delayed, ours)
}

func (c *Core) rejectIf(q *stage.WaitQueue, which func(*stage.Entry) bool) {
	q.TakeIf(func(e *stage.Entry) bool {
		if !which(e) {
			return false
		}
		c.reject(e, protocol.NackDraining, 0, "")
		return true
	})
}
