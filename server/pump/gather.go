package pump

import "time"

// Writes wait for the rest of a pass where there is a rest: after a large read, or
// when many senders have something to say one upon the other. Then several
// connections are ready each time that the loop looks, each with a packet or two,
// and what they bring is written to each analyzer together: fewer wake-ups for
// everybody. A loop with little to do writes at once, and so does one that serves a
// few senders which wait for each answer before they send the next packet: most of
// the time all of them wait for somebody's wake-up.
const (
	// gatherBytes is the size of a read from which on it is worth waiting for what
	// else is ready.
	gatherBytes = 16 << 10
	// gatherTurns of changing senders in a millisecond are often. One sender that
	// waits makes none, four were seen to make 12; ten with 20,000 planned packets a
	// second 18, with 50,000 and more 20 to 35.
	gatherTurns = 15
	gatherSpan  = 2 * time.Millisecond // over which they are counted
)

// gathering says whether the turns of a pass are gathered. Owned by one loop.
type gathering struct {
	often bool // senders came often in the last span
	from  time.Duration
	turns int   // of another sender than the one before, since then
	last  *Conn // whose turn it was
}

// turn is told when a turn of a connection begins and how much was read. It says
// whether to wait for what else is ready.
func (g *gathering) turn(now time.Duration, c *Conn, read int) bool {
	if c.agent != nil && c != g.last {
		g.turns++
		g.last = c
	}
	if span := now - g.from; span >= gatherSpan {
		g.often = time.Duration(g.turns)*time.Millisecond > gatherTurns*span
		g.from, g.turns = now, 0
	}
	return g.often || read >= gatherBytes
}

// forget lets go of a connection that is closed.
func (g *gathering) forget(c *Conn) {
	if g.last == c {
		g.last = nil
	}
}
