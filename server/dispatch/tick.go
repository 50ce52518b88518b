package dispatch

import "time"

// TickEvery is the time between ticks. It bounds how late PINGs, silence and
// spills are noticed.
const TickEvery = 20 * time.Millisecond

// ProbeEvery is the time between the PINGs to an analyzer that is connected
// and out of the table, whose answers show that it may come back.
const ProbeEvery = time.Second

// LongestGap between two ticks is twice the pace of an idle loop. Beyond it it
// was we who were silent (stopped, starved, suspended), and what the peers sent
// may still lie unread in our sockets.
const LongestGap = 500 * time.Millisecond

// Tick does what time alone brings about: PINGs, silence, late links, retries,
// timeouts. To be called every TickEvery or so, traffic or not. It returns how
// long nobody was there to notice anything, which peers must not be blamed for; 0
// mostly.
func (c *Core) Tick() (absent time.Duration) {
	gap := c.now - c.tickedAt
	c.tickedAt = c.now
	c.measureRate(gap)
	c.measureNeed()
	if gap > LongestGap {
		absent = gap
		for _, l := range c.links {
			l.creditAbsence(gap)
		}
	} else {
		for _, l := range c.links {
			l.watch()
		}
		c.markLate()
	}
	c.wakeDelayed()
	if c.now >= c.nextAge {
		c.nextAge = c.now + time.Second
		c.expire(&c.queue)
		for _, l := range c.links {
			c.expire(&l.waiting)
		}
	}
	c.drainQueue()
	for _, l := range c.links {
		if l.state != linkReady || c.table.Weight(l.index) == 0 {
			l.waiting.MoveAll(&c.queue)
		}
		l.drainWaiting()
		l.touchUnwritten()
	}
	return absent
}
