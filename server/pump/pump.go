// Package pump moves bytes between connections and a loop's core: what was read
// goes in as a turn, and what came of it is written out, once for each link and
// once for each agent.
//
// It knows no sockets. A shell gives it connections (Transport) and a thread
// (Host): server/loop does so with gnet, server/stream with goroutines around any
// net.Conn, and the simulator with a network of its own, so that all three run the
// same rounds: flush, the pace of ticks, gathering, deferred flushes, final frames
// and closing.
package pump

import (
	"net/netip"
	"time"

	"sluice/server/dispatch"
	"sluice/server/intake"
	"sluice/server/wire"
)

// Transport is one connection, as far as a pump needs it. Called by the pump's
// thread only.
type Transport interface {
	// Write takes all of p, which is borrowed, and keeps what the peer does not
	// take at once. A failing write may call Pump.Closed from within.
	Write(p []byte)
	// Full says that what was written before has not all left. It costs nothing.
	Full() bool
	// CloseWrite says that nothing more will be written. Full was false before.
	CloseWrite()
	// Close closes it now. Pump.Closed is called from within, or soon.
	Close()
}

// Meter is a Transport that can tell how many bytes of what was written have
// reached the peer's kernel in all, and how many have not; false: not now.
type Meter interface {
	Reached() (bytes uint64, inTransit int, known bool)
}

// Host is the thread that a pump runs on, and its clock. Called by that thread,
// unless it says otherwise.
type Host interface {
	intake.Host
	// Now is the time since an epoch that never changes; it never goes back.
	Now() time.Duration
	// FlushSoon calls Pump.FlushNow after what is ready now. False: it cannot.
	FlushSoon() bool
	// ResumeSoon calls Pump.Resume, and looks before at what is ready: there may be
	// any number of calls to come, each of a millisecond or more. False: it cannot.
	ResumeSoon() bool
	// SetPace calls Pump.Tick so often from now on.
	SetPace(every time.Duration)
	// LinkChanged hears what has become of a link.
	LinkChanged(dispatch.LinkEvent)
}

// Pump drives one core, the wires of its agents, its links and its intake. Owned
// by one loop.
type Pump struct {
	host   Host
	core   *dispatch.Core
	agents *wire.Agents
	intake *intake.Intake

	// Reused by Flush.
	dirtyLinks  []*dispatch.Link
	dirtyAgents []*wire.Agent
	doomed      []*dispatch.Link
	happened    []dispatch.LinkEvent
	lost        []*Conn

	blocked   []*Conn // have something to write, and the transport is full
	lingering []*Conn // said their final frames
	flushing  bool
	deferred  bool // a flush is on its way
	resuming  bool // the next turn of an agent with a backlog is on its way
	calmTicks int  // ticks since the last traffic, as far as idleAfter+1
	gather    gathering
}

// New makes a pump around a core. Nothing runs before the first connection, mail
// or tick.
func New(core *dispatch.Core, host Host) *Pump {
	return &Pump{host: host, core: core, agents: wire.NewAgents(core), intake: intake.New(core, host)}
}

// Core returns the pump's core.
func (p *Pump) Core() *dispatch.Core { return p.core }

// Intake is how other goroutines give frames to the pump's core.
func (p *Pump) Intake() *intake.Intake { return p.intake }

// Snapshot writes the counters of this moment into dst, reusing its slice.
func (p *Pump) Snapshot(dst *dispatch.Counters) {
	p.core.Snapshot(dst)
	p.agents.Count(dst)
}

// AddAgent takes the connection of an agent. ended, which may be nil, is called
// once when it is gone.
func (p *Pump) AddAgent(t Transport, from netip.Addr, ended func()) *Conn {
	p.beginTurn()
	c := &Conn{to: t, pump: p, ended: ended}
	c.agent = p.agents.Open(c, dispatch.PartyKey{Addr: dispatch.PartyAddr(from)})
	p.Flush()
	return c
}

// AddLink takes a dialled connection to the analyzer of an index.
func (p *Pump) AddLink(t Transport, analyzer int) *Conn {
	p.beginTurn()
	c := &Conn{to: t, pump: p, link: p.core.Links()[analyzer]}
	c.link.Opened(c)
	p.Flush()
	return c
}

// Do runs f in a turn of its own.
func (p *Pump) Do(f func(*Pump)) {
	p.core.BeginTurn(p.host.Now())
	f(p)
	p.Flush()
}

// RetireLink lets the link of an analyzer settle what it was handed and closes it
// then. The Host hears when it is lost.
func (p *Pump) RetireLink(analyzer int, reason string) {
	p.beginTurn()
	p.core.Links()[analyzer].Retire(reason)
	p.Flush()
}

// Drain stops admission. What was submitted before is dispatched first, so that
// the drain settles it; agents hear GOAWAY.
func (p *Pump) Drain() {
	p.intake.Close()
	p.ReadMail()
	p.core.Drain()
	p.agents.Drain()
	p.Flush()
}

// Finish says the final frames on every agent's connection.
func (p *Pump) Finish() {
	p.beginTurn()
	p.agents.Finish()
	p.Flush()
}

// ReadMail dispatches what lies in the intake, as one turn.
func (p *Pump) ReadMail() {
	p.beginTurn()
	p.intake.Dispatch()
	p.Flush()
	p.intake.Judge()
}

const (
	// idleTick is the time between the ticks of a pump with nothing to do. A
	// tick wakes a sleeping thread, and Go's monitor with it: at 50 a second
	// two idle loops were seen to cost a tenth of a core on a virtual machine.
	idleTick = 250 * time.Millisecond
	// idleAfter is how many ticks a pump must have had nothing to do.
	idleAfter = 50
)

// beginTurn begins a turn of traffic, which an idle pump wakes up for, and returns
// its time.
func (p *Pump) beginTurn() time.Duration {
	now := p.host.Now()
	p.core.BeginTurn(now)
	if p.calmTicks > idleAfter {
		p.host.SetPace(dispatch.TickEvery)
	}
	p.calmTicks = 0
	return now
}

// Tick does what time alone brings about. Its pace is the Host's, as SetPace said
// last; dispatch.TickEvery at first.
func (p *Pump) Tick() {
	p.core.BeginTurn(p.host.Now())
	for _, l := range p.core.Links() {
		p.measure(l)
	}
	p.agents.Tick(p.core.Tick())
	if !p.resuming {
		p.agents.Resume()
	}
	p.intake.Tick()
	busy := p.core.Unsettled() + len(p.blocked) + len(p.lingering)
	if p.agents.Behind() {
		busy++
	}
	for _, c := range p.blocked {
		c.blocked = false
		if !c.gone {
			c.touch()
		}
	}
	clear(p.blocked)
	p.blocked = p.blocked[:0]
	p.Flush()
	p.endLingering()
	switch {
	case busy > 0:
		if p.calmTicks > idleAfter {
			p.host.SetPace(dispatch.TickEvery)
		}
		p.calmTicks = 0
	case p.calmTicks <= idleAfter:
		if p.calmTicks++; p.calmTicks > idleAfter {
			p.host.SetPace(idleTick)
		}
	}
}
