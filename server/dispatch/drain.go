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

// Finish makes each session's last words of what is settled, and closes it.
// For the end of a drain, whether everything was settled or not.
func (c *Core) Finish() {
	for _, s := range c.sessions {
		if s != nil && s.observer == nil && !s.gone && !s.closing {
			s.closing = true
			c.flushNack(s)
			s.answers = c.appendAck(s.answers, s)
			c.dropPartial(s)
			c.touch(s)
		}
	}
}
