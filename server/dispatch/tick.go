package dispatch

import (
	"fmt"
	"time"

	"sluice/protocol"
)

// Tick does what time alone brings about: PINGs, silence, stale links,
// retries, timeouts. To be called every TickEvery or so, traffic or not.
func (c *Core) Tick() {
	gap := c.now - c.tickedAt
	c.tickedAt = c.now
	c.measureRate(gap)
	c.measureNeed()
	if gap > longestGap {
		c.excuse(gap)
	} else {
		for _, l := range c.links {
			c.checkLink(l)
		}
		c.markStale()
		c.lookAtSessions()
	}
	c.wakeDelayed()
	if c.now >= c.nextAge {
		c.nextAge = c.now + time.Second
		c.expire(&c.queue)
		for _, l := range c.links {
			c.expire(&l.waiting)
		}
	}
	if c.queue.n > 0 {
		c.drainQueue()
	}
	for _, l := range c.links {
		if l.waiting.n > 0 && (l.state != linkReady || c.table.Weight(l.index) == 0) {
			for ; l.waiting.n > 0; l.waiting.dropFront(1) {
				c.queue.pushBack(*l.waiting.at(0))
			}
		}
		c.drainWaiting(l)
		if l.stage.n > l.handed {
			c.touchLink(l)
		}
	}
}

// TickEvery is the time between ticks. It bounds how late PINGs, silence and
// spills are noticed.
const TickEvery = 20 * time.Millisecond

// ProbeEvery is the time between the PINGs to an analyzer that is connected
// and out of the table, whose answers show that it may come back.
const ProbeEvery = time.Second

// longestGap between two ticks is twice the pace of an idle loop. Beyond it
// it was we who were silent (stopped, starved, suspended), and the answers of
// the analyzers may still lie unread in our sockets.
const longestGap = 500 * time.Millisecond

// excuse gives every link and session the time back that this loop was not
// there.
func (c *Core) excuse(gap time.Duration) {
	for _, s := range c.deadlines { // the order stays: all move alike, and a look comes early at worst
		s.heardAt = min(s.heardAt+gap, c.now)
		for _, at := range []*time.Duration{&s.partialAt, &s.unreadAt, &s.askedAt} {
			if *at != 0 {
				*at = min(*at+gap, c.now)
			}
		}
	}
	for _, l := range c.links {
		l.heardAt = min(l.heardAt+gap, c.now)
		l.progressAt = min(l.progressAt+gap, c.now)
		l.openedAt = min(l.openedAt+gap, c.now)
		if l.pingedAt != 0 {
			l.pingedAt = min(l.pingedAt+gap, c.now)
		}
	}
}

// checkLink sends the PING that is due, and gives up a link that is silent,
// makes no progress, or never said WELCOME.
func (c *Core) checkLink(l *Link) {
	quiet := c.now - l.heardAt
	switch l.state {
	case linkGreeting:
		if c.now-l.openedAt > c.cfg.Handshake {
			c.giveUp(l, fmt.Sprintf("no WELCOME within %v", c.cfg.Handshake))
		}
		return
	case linkReady:
	default:
		return
	}
	waited := quiet
	if l.handed == 0 {
		waited = 0
	}
	if l.pingedAt != 0 {
		waited = max(waited, min(quiet, c.now-l.pingedAt))
	}
	switch {
	case waited > c.cfg.Silence:
		c.giveUp(l, fmt.Sprintf("silent for %v with %d frames in flight", waited.Round(time.Millisecond), l.handed))
	case l.handed > 0 && c.now-l.progressAt > c.cfg.AckTimeout:
		c.giveUp(l, fmt.Sprintf("no acknowledgement for %v with %d frames in flight", (c.now-l.progressAt).Round(time.Millisecond), l.handed))
	case l.pingedAt == 0 && (quiet >= c.pingEvery(l) || l.handed > 0 && quiet >= c.cfg.PingAfter):
		l.control = protocol.AppendPing(l.control, uint64(c.now))
		l.pingedAt = c.now
		c.touchLink(l)
	case l.stage.n == 0 && c.now-l.progressAt > time.Second:
		l.stage.close(&c.chunks)
	}
	if l.state == linkReady {
		c.judge(l, waited)
	}
}

// pingEvery is the PING interval of a link without traffic.
func (c *Core) pingEvery(l *Link) time.Duration {
	if c.table.Weight(l.index) == 0 {
		return min(c.cfg.HealthCheck, ProbeEvery)
	}
	return c.cfg.HealthCheck
}

// judge tells when a link becomes suspect, having been silent for waited or
// being stale, and when it is well again.
func (c *Core) judge(l *Link, waited time.Duration) {
	silent := waited >= 2*c.cfg.PingAfter
	if suspect := silent || l.stale; suspect == l.suspect {
		return
	}
	l.suspect = !l.suspect
	e := LinkEvent{Link: l, Change: LinkIsWell}
	if l.suspect {
		e.Change = LinkIsSuspect
		e.Reason = fmt.Sprintf("its oldest packet has no answer for over %v", c.cfg.SpillAfter)
		if silent {
			e.Reason = fmt.Sprintf("silent for %v with %d frames in flight", waited.Round(time.Millisecond), l.handed)
		}
	}
	c.events = append(c.events, e)
}

// markStale finds the links whose oldest unacknowledged frame is older than
// SpillAfter while another one's is not: they take nothing new, and what they
// have not written moves to others (elastic) or waits (strict).
func (c *Core) markStale() {
	fresh := false
	for _, l := range c.links {
		if c.inTable(l) && !c.late(l) {
			fresh = true
			break
		}
	}
	for _, l := range c.links {
		stale := fresh && l.state == linkReady && c.late(l)
		if stale {
			c.spill(l)
		}
		l.stale = stale
	}
}

// spill moves what was not written to a link to the head of the queue, unless
// each frame has to wait for the analyzer that was picked for it.
func (c *Core) spill(l *Link) {
	if !c.cfg.Strict && c.cfg.Route == RouteWeighted && l.stage.n > l.handed {
		c.count.Spilled += uint64(c.reclaim(l, l.handed))
	}
}

func (c *Core) inTable(l *Link) bool {
	return l.state == linkReady && !l.draining && c.table.Weight(l.index) > 0
}

// late says that the oldest unanswered frame of a link is older than
// SpillAfter, counted from when it was staged: an analyzer that answers what it
// is handed in time, but is handed too little to keep up, is late as well.
func (c *Core) late(l *Link) bool {
	if l.handed == 0 || l.live == 0 {
		return false
	}
	i := 0
	for l.stage.at(i).flags&entrySettled != 0 { // answered out of order: few, and dropped with the next ACK
		i++
	}
	return c.nowMS-l.stage.at(i).at > uint32(c.cfg.SpillAfter/time.Millisecond)
}
