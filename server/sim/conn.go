package sim

import (
	"time"

	"sluice/server/dispatch"
	"sluice/server/pump"
)

// conn is a loop's side of a connection: the pump's transport, and for a link the
// mirror of what was written to it. Owned by the world.
type conn struct {
	l        *loop
	e        *end
	piped    *pump.Conn // nil until the pump has taken it
	analyzer int        // whose link it is, or noAnalyzer
	place    int        // of an agent's: in loop.agents
	gone     bool
	reason   string // why, as the transport sees it

	tells     bool          // the pump, when it is full no more: goroutines do, epoll does not
	wasFull   bool          // since the last tick
	closingAt time.Duration // when its final frames were said; 0: not yet

	// Of a link: the packets that were written and have no answer yet, the
	// first of them being number first. It mirrors what the core must hold.
	written deque[packetID]
	first   uint64
	answers answers
	wasOpen bool // it has carried data
	deaf    bool // the core has given it up and hears no more

	deceived bool // its analyzer acknowledges what it has not received

	heardAt    time.Duration // last byte received, or when flight began
	halted     time.Duration // for how long the process had been stopped by then
	progressAt time.Duration // last answer that settled something, or when flight began
}

const noAnalyzer = -1

// link is the link that the connection is, or was, the one of.
func (c *conn) link() *dispatch.Link { return c.l.pump.Core().Links()[c.analyzer] }

// joins is told what the pump has made of the connection, which may have broken
// with the first write.
func (c *conn) joins(piped *pump.Conn) {
	c.piped = piped
	if c.gone {
		c.l.pump.Closed(piped, c.reason)
	}
}

// Write is called by the pump. Writing to a connection that is broken closes it,
// from within.
func (c *conn) Write(p []byte) {
	if c.gone {
		return
	}
	if c.analyzer != noAnalyzer {
		c.note(p)
	}
	if c.e.reset {
		c.closed("broken pipe")
		return
	}
	c.e.write(p)
}

// maxAsked is far beyond what a turn should take.
const maxAsked = 1_000_000

// Full is called by the pump.
func (c *conn) Full() bool {
	if c.l.asked++; c.l.asked > maxAsked {
		c.l.d.w.fail("%s: the pump never comes to rest", c.l.d.name)
	}
	full := !c.gone && c.e.full()
	if full {
		c.wasFull = true
		c.e.hungry = c.tells
	}
	return full
}

// CloseWrite is called by the pump.
func (c *conn) CloseWrite() {
	if c.gone {
		return
	}
	if c.e.full() {
		c.l.d.w.fail("%s shuts a connection that has not taken everything", c.l.d.name)
	}
	c.e.shut()
}

// Close is called by the pump.
func (c *conn) Close() { c.closed("") }

// closed closes the connection, unless it is, and tells the pump.
func (c *conn) closed(reason string) {
	if c.gone {
		return
	}
	c.gone, c.reason = true, reason
	c.e.close()
	if c.analyzer != noAnalyzer {
		c.excuse()
		c.l.links[c.analyzer], c.l.fallen[c.analyzer] = nil, c
	}
	if c.piped != nil {
		c.l.pump.Closed(c.piped, reason)
	}
}

// forgotten is called by the pump when the connection of an agent is gone, once.
func (c *conn) forgotten() {
	l := c.l
	if !c.gone || c.place < 0 {
		l.d.w.fail("%s forgets a connection that is open, or forgets it twice", l.d.name)
	}
	last := l.agents[len(l.agents)-1]
	l.agents[c.place], last.place = last, c.place
	l.agents = l.agents[:len(l.agents)-1]
	c.place = -1
}

// readable is a turn.
func (c *conn) readable(data []byte) {
	l := c.l
	if c.analyzer == noAnalyzer {
		if cost := l.d.w.knobs.turnCost; cost > 0 && !c.piped.Agent().Closing() {
			l.d.spend(l.d.w.upTo(cost))
		}
	} else {
		c.hear(data)
	}
	l.turn(func() { l.pump.Received(c.piped, data) })
	if c.analyzer != noAnalyzer {
		c.wasOpen = c.wasOpen || c.link().Ready()
	}
}

func (c *conn) writable() { c.l.turn(func() { c.l.pump.Writable(c.piped) }) }

func (c *conn) ended(reason string) { c.l.turn(func() { c.closed(reason) }) }
