package dispatch

import (
	"sluice/protocol"
	"sluice/server/route"
)

// Submit dispatches a frame of an observed session, which has passed the
// scan (messages is what it counted). It returns the frame's number, and
// false if it was refused as busy or draining, without a word to the observer.
// frame, header included, is borrowed.
func (c *Core) Submit(s *Session, frame []byte, messages int) (number uint64, code protocol.NackCode) {
	c.submitted(s, frame, messages)
	switch {
	case c.draining:
		code = protocol.NackDraining
	case c.short && c.overPart(s):
		code = protocol.NackBusy
	case c.cfg.Route != RouteWeighted && c.inspect.Scan(frame[protocol.HeaderSize:], &c.scanned) != nil:
		code = protocol.NackInvalid
	default:
		if c.tryPlace(s, s.number, frame) {
			return s.number, 0
		}
		code = protocol.NackBusy
	}
	c.count.reject(code)
	return s.number, code
}

// tryPlace admits a scanned frame: to the stage of the picked link, of
// another one, or to the queue. False means that nothing changed: busy.
func (c *Core) tryPlace(s *Session, number uint64, frame []byte) bool {
	if c.table.Empty() {
		return c.tryQueue(&c.queue, s, number, frame, 0)
	}
	return c.place(c.pick(s), s, number, frame)
}

// place admits a frame for which l was picked.
func (c *Core) place(l *Link, s *Session, number uint64, frame []byte) bool {
	if c.room(l, len(frame)) {
		return c.admit(l, s, number, frame)
	}
	return c.tryElsewhere(l, s, number, frame)
}

// tryElsewhere admits a frame whose picked link has no room.
func (c *Core) tryElsewhere(l *Link, s *Session, number uint64, frame []byte) bool {
	if c.cfg.Strict || c.cfg.Route != RouteWeighted {
		return c.tryQueue(&l.waiting, s, number, frame, entryPicked)
	}
	if other := c.anyRoom(len(frame)); other != nil {
		if !c.admit(other, s, number, frame) {
			return false
		}
		c.count.Spilled++
		return true
	}
	if !c.tryQueue(&c.queue, s, number, frame, entryPicked) {
		return false
	}
	c.count.Spilled++ // whoever has room first will have it
	return true
}

func (c *Core) admit(l *Link, s *Session, number uint64, frame []byte) bool {
	e := l.stage.tryAppend(&c.chunks, frame, false)
	if e == nil {
		return false
	}
	e.number, e.session, e.at, e.attempts, e.flags = number, s.slot, c.nowMS, 0, entryPicked
	l.live++
	c.admitted(s, 1)
	c.count.Analyzers[l.index].Dispatched++
	c.touchLink(l)
	return true
}

// pick chooses the link of a first dispatch; a frame of s was just scanned.
func (c *Core) pick(s *Session) *Link {
	i := 0
	if c.cfg.Route == RouteWeighted {
		i = c.pickNext()
	} else {
		i = c.sticky(s)
	}
	c.count.Analyzers[i].Picked++
	return c.links[i]
}

// pickNext takes one number of the shared sequence. Reads take theirs at once; see
// deal.go.
func (c *Core) pickNext() int {
	return c.table.Pick(route.Point(c.shared.Sequence.Reserve(1)))
}

// sticky picks by the key of the scanned frame. A session nearly always has one
// agent, so its last pick is remembered: comparing a key costs less than hashing
// it once for each analyzer.
func (c *Core) sticky(s *Session) int {
	if c.cfg.Route != RouteAgent {
		return c.table.Rendezvous(c.key())
	}
	if s.stuckTable != c.table || string(s.stuckKey) != string(c.scanned.AgentID) {
		s.stuckTable, s.stuckKey = c.table, append(s.stuckKey[:0], c.scanned.AgentID...)
		s.stuckTo = c.table.Rendezvous(s.stuckKey)
	}
	return s.stuckTo
}

// key is what the scanned frame is routed by.
func (c *Core) key() []byte {
	if c.cfg.Route == RouteAgent {
		return c.scanned.AgentID
	}
	return c.scanned.PacketID
}

// anyRoom picks a link that has room, by weight while that finds one soon.
// It draws from this core's own sequence, so that spills and redispatches do
// not disturb the split of first dispatches.
func (c *Core) anyRoom(size int) *Link {
	for range 8 {
		l := c.links[c.table.Pick(route.Point(c.again))]
		c.again++
		if c.room(l, size) {
			return l
		}
	}
	var best *Link
	for i, l := range c.links {
		if c.table.Weight(i) > 0 && c.room(l, size) && (best == nil || l.live < best.live) {
			best = l
		}
	}
	return best
}

// tryQueue admits a frame that no link can take now. False when the queue or
// the budget is full.
func (c *Core) tryQueue(q *ring, s *Session, number uint64, frame []byte, flags uint8) bool {
	if c.shared.queued.Add(1) > int64(c.cfg.MaxQueueFrames) {
		c.shared.queued.Add(-1)
		return false
	}
	if !c.pushQueue(q, s, number, frame, flags, false) {
		c.shared.queued.Add(-1)
		return false
	}
	return true
}

// pushQueue copies a frame, whose place was taken, to the back of a queue. False
// when the budget is used up; with force (see tryCopy) it does not happen.
func (c *Core) pushQueue(q *ring, s *Session, number uint64, frame []byte, flags uint8, force bool) bool {
	chunk, offset, ok := c.hold.tryCopy(&c.chunks, frame, force)
	if !ok {
		return false
	}
	q.pushBack(entry{number: number, session: s.slot, chunk: chunk, offset: offset, size: uint32(len(frame)), at: c.nowMS, flags: flags})
	c.admitted(s, 1)
	return true
}
