package dispatch

import "sluice/server/route"

// pick chooses the link of a first dispatch; a frame of s was just scanned.
func (c *Core) pick(s *Source) *Link {
	i := 0
	if c.cfg.Route == RouteWeighted {
		// One number of the shared sequence. Reads take theirs at once; see deal.go.
		i = c.table.Pick(route.Point(c.shared.Sequence.Reserve(1)))
	} else {
		i = c.stickyTo(s)
	}
	c.count.Analyzers[i].Picked++
	return c.links[i]
}

// stickyTo picks by the key of the scanned frame.
func (c *Core) stickyTo(s *Source) int {
	if c.cfg.Route != RouteAgent {
		return c.table.Rendezvous(c.key())
	}
	p := &s.sticky
	if p.table != c.table || string(p.key) != string(c.scanned.AgentID) {
		p.table, p.key = c.table, append(p.key[:0], c.scanned.AgentID...)
		p.to = c.table.Rendezvous(p.key)
	}
	return p.to
}

// key is what the scanned frame is routed by.
func (c *Core) key() []byte {
	if c.cfg.Route == RouteAgent {
		return c.scanned.AgentID
	}
	return c.scanned.PacketID
}

// anyFits picks a link that has room, by weight while that finds one soon. It
// draws from this core's own sequence, so that spills and redispatches do not
// disturb the split of first dispatches.
func (c *Core) anyFits(size int) *Link {
	for range 8 {
		l := c.links[c.table.Pick(route.Point(c.again))]
		c.again++
		if l.fits(size) {
			return l
		}
	}
	var best *Link
	for i, l := range c.links {
		if c.table.Weight(i) > 0 && l.fits(size) && (best == nil || l.flight.Live() < best.flight.Live()) {
			best = l
		}
	}
	return best
}
