package pump

import (
	"time"

	"sluice/server/dispatch"
	"sluice/server/wire"
)

// Conn is what the pump knows of one connection: its transport, and the agent or
// the link at the core's side of it. Owned by one loop.
type Conn struct {
	to    Transport
	pump  *Pump
	agent *wire.Agent    // of an agent's connection
	link  *dispatch.Link // of a link's
	ended func()         // hears that an agent's connection is gone; may be nil

	gone      bool // the transport is closed
	blocked   bool // in the pump's list of connections with a full transport
	lingering bool // in the list of those that said their final frames
	shut      bool // the write side is closed
	discarded int  // bytes read while lingering
	deadline  time.Duration
	reason    string // why it is gone
}

// Agent returns the wire of an agent's connection; nil for a link's.
func (c *Conn) Agent() *wire.Agent { return c.agent }

// Link returns the link of a connection to an analyzer; nil for an agent's.
func (c *Conn) Link() *dispatch.Link { return c.link }

// Owes says that there is something to be written to the connection now. After a
// flush there is only if the transport was full: all else is a lost wake-up.
func (c *Conn) Owes() bool {
	switch {
	case c.gone:
		return false
	case c.agent != nil:
		return c.agent.Owes()
	default:
		return c.link.Owes()
	}
}

// lingerFor bounds how long a connection that said its final frames is kept for
// the peer to read them. Closing it with unread input would send RST, which
// destroys them.
const lingerFor = time.Second

// LingerBytes bounds what is read of it meanwhile: what a sender that heeds its
// credit can have in transit, and no more, for reading costs the others.
const LingerBytes = 8 << 20

// Received takes what one read took. It is one turn: all frames are walked, then
// everything that came of them is written. data is borrowed.
func (p *Pump) Received(c *Conn, data []byte) {
	if c.lingering {
		if c.discarded += len(data); c.discarded > LingerBytes {
			p.close(c, "went on sending after its final frames")
		}
		return // read to be discarded
	}
	gather := p.gather.turn(p.beginTurn(), c, len(data))
	if c.agent != nil {
		c.agent.Receive(data)
	} else {
		c.link.Receive(data)
	}
	borrowed(data)
	p.flushSoon(gather)
}

// Writable tells that a transport is not Full any more. One whose shell cannot
// tell is asked at the next tick.
func (p *Pump) Writable(c *Conn) {
	if c.gone || !c.blocked {
		return
	}
	p.beginTurn()
	c.touch()
	p.Flush()
}

// measure tells a link in doubt whether its bytes are still on their way.
func (p *Pump) measure(l *dispatch.Link) {
	if !l.InDoubt() {
		return
	}
	c, ok := l.Conn.(*Conn)
	if !ok || c.gone {
		return
	}
	if m, ok := c.to.(Meter); ok {
		if bytes, inTransit, known := m.Reached(); known {
			l.Reached(bytes, inTransit)
		}
	}
}

// touch marks the connection to be asked again for what to write.
func (c *Conn) touch() {
	if c.agent != nil {
		c.agent.MarkDirty()
	} else {
		c.link.MarkDirty()
	}
}

// Closed tells that a transport is closed, by whomever. It may come from within a
// write, so it only marks and queues; the flush under way, or one of its own, does
// the rest. Telling it again changes nothing.
func (p *Pump) Closed(c *Conn, reason string) {
	if c.gone {
		return
	}
	c.gone = true
	if c.reason == "" {
		c.reason = reason
	}
	p.gather.forget(c)
	p.lost = append(p.lost, c)
	if !p.flushing {
		p.beginTurn()
		p.Flush()
	}
}

// close closes a connection now.
func (p *Pump) close(c *Conn, reason string) {
	if c.gone {
		return
	}
	if c.reason == "" {
		c.reason = reason
	}
	c.to.Close()
}

// linger closes the write side, so that the final frames and the FIN arrive, and
// discards input until the peer's FIN or lingerFor.
func (p *Pump) linger(c *Conn) {
	if c.gone {
		return
	}
	if !c.lingering {
		c.lingering = true
		c.deadline = p.core.Now() + lingerFor
		p.lingering = append(p.lingering, c)
	}
	c.shutWrite()
}

func (c *Conn) shutWrite() {
	if !c.shut && !c.gone && !c.to.Full() && c.agent.AnswersFlushed() {
		c.shut = true
		c.to.CloseWrite()
	}
}

// endLingering closes the connections whose peers took their time.
func (p *Pump) endLingering() {
	list, kept := p.lingering, p.lingering[:0]
	for _, c := range list {
		c.shutWrite()
		switch {
		case c.gone:
		case p.core.Now() >= c.deadline:
			p.close(c, "closed after its final frames")
		default:
			kept = append(kept, c)
		}
	}
	clear(list[len(kept):])
	p.lingering = kept
}

// full says that the transport has not taken what was written before. The next
// tick asks again; a link's next ACK does so sooner.
func (p *Pump) full(c *Conn) bool {
	if !c.to.Full() {
		return false
	}
	if !c.blocked {
		c.blocked = true
		p.blocked = append(p.blocked, c)
	}
	return true
}

func (p *Pump) write(c *Conn, out []byte) {
	c.to.Write(out)
	if !c.gone {
		p.full(c)
	}
}
