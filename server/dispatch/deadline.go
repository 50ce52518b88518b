package dispatch

import (
	"container/heap"
	"fmt"
	"time"

	"sluice/protocol"
)

// deadlines orders the sessions by when each must be looked at next. One
// structure for all kinds of deadlines: a session is in it once, with the
// earliest of its own, and a look that comes too early because bytes have
// arrived since only sets the next. So a turn stores a time and no more; there
// is no timer per session, let alone per packet. Owned by one loop.
type deadlines []*Session

// Len, Less, Swap, Push and Pop are for container/heap.
func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].lookAt < d[j].lookAt }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}
func (d *deadlines) Push(x any) {
	s := x.(*Session)
	s.place = len(*d)
	*d = append(*d, s)
}
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	s := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	s.place = noPlace
	return s
}

// noPlace is the place of a session that is in no heap.
const noPlace = -1

// lookBy makes sure that the session is looked at by a time.
func (c *Core) lookBy(s *Session, at time.Duration) {
	switch {
	case s.observer != nil || s.gone || s.closing:
	case s.place == noPlace:
		s.lookAt = at
		heap.Push(&c.deadlines, s)
	case at < s.lookAt:
		s.lookAt = at
		heap.Fix(&c.deadlines, s.place)
	}
}

func (c *Core) forgetDeadline(s *Session) {
	if s.place != noPlace {
		heap.Remove(&c.deadlines, s.place)
	}
}

// lookAtSessions looks at those whose time has come.
func (c *Core) lookAtSessions() {
	for len(c.deadlines) > 0 && c.deadlines[0].lookAt <= c.now {
		s := c.deadlines[0]
		heap.Pop(&c.deadlines)
		c.look(s)
	}
}

// look hangs up on a session that is past a deadline, asks one that is silent,
// and sets the next look.
func (c *Core) look(s *Session) {
	next := c.now + time.Hour
	if s.partialAt != 0 {
		if c.now-s.partialAt >= c.cfg.PartialFrame {
			c.hangUp(s, protocol.GoawayIdle, fmt.Sprintf("a frame was not complete within %v", c.cfg.PartialFrame))
			return
		}
		next = min(next, s.partialAt+c.cfg.PartialFrame)
	}
	if s.unreadAt != 0 {
		if c.now-s.unreadAt >= c.cfg.WriteStall {
			c.hangUp(s, protocol.GoawayOverload, fmt.Sprintf("answers were not read for %v", c.cfg.WriteStall))
			return
		}
		next = min(next, s.unreadAt+c.cfg.WriteStall)
	}
	limit := c.idleLimit(s)
	switch quiet := c.now - s.heardAt; {
	case limit == 0:
	case s.unsettled > 0: // it waits for us
		next = min(next, c.now+limit)
	case quiet < limit:
		next = min(next, s.heardAt+limit)
	case s.hello && s.askedAt < s.heardAt+limit:
		s.askedAt = c.now
		s.answers = protocol.AppendPing(s.answers, uint64(c.now))
		c.touch(s)
		next = min(next, c.now+c.cfg.IdleAnswer)
	case s.hello && c.now-s.askedAt < c.cfg.IdleAnswer:
		next = min(next, s.askedAt+c.cfg.IdleAnswer)
	default:
		c.hangUp(s, protocol.GoawayIdle, fmt.Sprintf("silent for %v", quiet.Round(time.Second)))
		return
	}
	c.lookBy(s, next)
}

// idleLimit is how long a session may be silent with nothing in flight; 0 is
// for ever. Only a sender that said HELLO answers PINGs.
func (c *Core) idleLimit(s *Session) time.Duration {
	if s.hello {
		return c.cfg.Idle
	}
	return c.cfg.IdlePlain
}
