package dispatch

import "sluice/protocol"

// Drain stops admission: every session hears GOAWAY 0, what still arrives is
// answered draining, and what was admitted is settled as ever.
func (c *Core) Drain() {
	if c.draining {
		return
	}
	c.draining = true
	for _, s := range c.sessions {
		if s != nil && s.observer == nil {
			c.sayGoaway(s)
		}
	}
}

func (c *Core) sayGoaway(s *Session) {
	if s.gone || s.closing || s.drained {
		return
	}
	s.drained = true
	c.flushNack(s)
	s.answers = protocol.AppendGoaway(s.answers, protocol.GoawayDrain, "the distributor is stopping")
	c.touch(s)
}

// Unsettled returns how many admitted frames of all sessions have no answer.
func (c *Core) Unsettled() int {
	n := c.queue.n + c.delayed.n
	for _, l := range c.links {
		n += l.live + l.waiting.n
	}
	return n
}

// Bury makes dead letters of all frames that the distributor answers for and
// that have no answer yet, wherever they are. For the end of a drain: their
// senders were told 202 and will not send them again. One that was written to
// an analyzer may so be delivered twice.
func (c *Core) Bury() {
	for _, l := range c.links {
		c.reclaim(l, l.handed)
		for i := 0; i < l.handed; i++ {
			e := l.stage.at(i)
			if e.flags&entrySettled == 0 && c.sessions[e.session].owned {
				taken := l.takeWritten(e)
				c.buried(&taken)
			}
		}
		c.buryRing(&l.waiting)
	}
	c.buryRing(&c.queue)
	c.buryRing(&c.delayed)
}

func (c *Core) buried(e *entry) {
	c.refused(e, protocol.NackDraining, 0, "")
}

func (c *Core) buryRing(q *ring) {
	q.filter(func(e *entry) bool {
		if !c.sessions[e.session].owned {
			return true
		}
		c.shared.queued.Add(-1)
		c.buried(e)
		return false
	})
}

// Finish makes each session's last words of what is settled, and closes it.
// For the end of a drain, whether everything was settled or not.
func (c *Core) Finish() {
	for _, s := range c.sessions {
		if s != nil && s.observer == nil && !s.gone && !s.closing {
			s.closing = true
			c.forgetDeadline(s)
			c.flushNack(s)
			s.answers = c.appendAck(s.answers, s)
			c.dropPartial(s)
			c.touch(s)
		}
	}
}
