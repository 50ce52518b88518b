package pump

import (
	"sluice/server/dispatch"
	"sluice/server/wire"
)

// flushSoon flushes now, or, when there is more to gather, after what is ready
// now.
func (p *Pump) flushSoon(gather bool) {
	if p.deferred {
		return
	}
	if !gather || !p.host.FlushSoon() {
		p.Flush()
		return
	}
	p.deferred = true
}

// FlushNow is the flush that Host.FlushSoon was asked for.
func (p *Pump) FlushNow() {
	p.deferred = false
	p.beginTurn()
	p.Flush()
}

// Resume is what Host.ResumeSoon was asked for: of the agents whose last turn cost
// too much, the one that has waited longest gets its next.
func (p *Pump) Resume() {
	p.resuming = false
	p.beginTurn()
	p.agents.Resume()
	p.Flush()
}

// Flush writes out what a turn brought about: one write per link that got
// something, one per agent that has something to hear; closes what is to be
// closed; and lets the core deal with the connections lost on the way. It repeats,
// because each of these can give rise to the others, until nothing is left; every
// round either empties a list or closes a connection.
func (p *Pump) Flush() {
	if p.flushing {
		return
	}
	p.flushing = true
	for p.flushRound() {
	}
	p.flushing = false
	if !p.resuming && p.agents.Behind() {
		p.resuming = p.host.ResumeSoon() // or the next tick does it
	}
	p.happened = p.core.TakeEvents(p.happened[:0])
	for _, e := range p.happened {
		p.host.LinkChanged(e)
	}
}

// flushRound says whether there was anything to do.
func (p *Pump) flushRound() bool {
	p.dirtyLinks = p.core.TakeDirtyLinks(p.dirtyLinks[:0])
	for _, link := range p.dirtyLinks {
		p.writeLink(link)
	}
	p.dirtyAgents = p.agents.TakeDirty(p.dirtyAgents[:0])
	for _, a := range p.dirtyAgents {
		p.writeAgent(a)
	}
	p.doomed = p.core.TakeDoomed(p.doomed[:0])
	for _, link := range p.doomed {
		if c, ok := link.Conn.(*Conn); ok {
			p.close(c, "given up")
		}
	}
	for i := 0; i < len(p.lost); i++ {
		p.forget(p.lost[i])
	}
	did := len(p.lost) + len(p.doomed) + len(p.dirtyAgents) + len(p.dirtyLinks)
	clear(p.lost)
	p.lost = p.lost[:0]
	return did > 0
}

// forget tells the core that a connection is closed.
func (p *Pump) forget(c *Conn) {
	switch {
	case c.agent != nil:
		c.agent.Lost()
		if c.ended != nil {
			c.ended()
		}
	case c.link.Conn == c:
		c.link.Lost(c.reason)
	}
}

func (p *Pump) writeLink(link *dispatch.Link) {
	c, ok := link.Conn.(*Conn)
	if !ok || c.gone || p.full(c) {
		return
	}
	if out := link.NextControl(); len(out) > 0 {
		p.write(c, out)
	}
	for !c.gone {
		if p.full(c) {
			return
		}
		out := link.NextWrite()
		if len(out) == 0 {
			return
		}
		p.write(c, out)
	}
}

func (p *Pump) writeAgent(a *wire.Agent) {
	c, ok := a.Conn.(*Conn)
	if !ok || c.gone {
		return
	}
	if p.full(c) {
		a.Unread()
		if a.Closing() {
			p.linger(c) // a peer that does not read its final frames has its time, too
		}
		return
	}
	if out := a.NextAnswers(); len(out) > 0 {
		p.write(c, out)
	}
	if a.AnswersFlushed() {
		p.linger(c)
	}
}
