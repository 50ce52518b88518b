package sim

import (
	"net/netip"
	"time"

	"sluice/server/dispatch"
	"sluice/server/intake"
	"sluice/server/pump"
)

// loop is a thread around the real pump, as server/loop is one with gnet. It is
// the pump's Host. Owned by the world.
type loop struct {
	d     *distributor
	index int
	pump  *pump.Pump

	clients []*intake.Source // of the submitters; nil: not yet, or let go
	lent    *intake.Source   // of the dead letters

	agents []*conn // open ones
	links  []*conn // by analyzer, the open one; nil without
	fallen []*conn // by analyzer, the last connection that was lost

	putOff  int           // flushes that are on their way
	pace    time.Duration // of the ticks
	asked   int           // how often the pump has looked whether a connection is full, this turn
	tickGen int           // of the pace: what an earlier pace scheduled is void
	count   dispatch.Counters
}

// mailDelay is more than a loop needs to come to its mail: faults shall find some
// in it.
const mailDelay = 5 * time.Millisecond

func newLoop(d *distributor, index int) *loop {
	n := len(d.w.analyzers)
	l := &loop{d: d, index: index, links: make([]*conn, n), fallen: make([]*conn, n), clients: make([]*intake.Source, len(d.w.submitters))}
	l.pump = pump.New(dispatch.New(d.w.knobs.core, d.shared, n), l)
	l.lent = l.pump.Intake().NewSource(netip.Addr{}, nil)
	l.SetPace(dispatch.TickEvery)
	return l
}

// turn runs the pump, and looks at what must hold afterwards.
func (l *loop) turn(f func()) {
	l.asked = 0
	f()
	l.check()
	l.checkSaid()
}

// Now is the time as the core sees it.
func (l *loop) Now() time.Duration { return l.d.clock() }

// FlushSoon flushes a little later, or refuses.
func (l *loop) FlushSoon() bool {
	w := l.d.w
	if w.chance(w.knobs.flushNow) {
		return false
	}
	w.deferred++
	l.putOff++
	l.d.after(w.upTo(w.knobs.flushDelay), func() {
		l.putOff--
		l.turn(l.pump.FlushNow)
	})
	return true
}

// ResumeSoon resumes a little later.
func (l *loop) ResumeSoon() bool {
	l.d.after(l.d.w.upTo(l.d.w.knobs.flushDelay), func() { l.turn(l.pump.Resume) })
	return true
}

// SetPace ticks every so often from now on.
func (l *loop) SetPace(every time.Duration) {
	l.tickGen++
	gen := l.tickGen
	l.pace = every
	var tick func()
	tick = func() {
		if gen == l.tickGen {
			l.d.after(every, tick)
			l.turn(l.tick)
		}
	}
	l.d.after(every, tick)
}

func (l *loop) tick() {
	for _, list := range [2][]*conn{l.agents, l.links} {
		for _, c := range list {
			if c != nil {
				c.wasFull = false
			}
		}
	}
	l.pump.Tick()
	if l.pump.Core().Unsettled() > 0 && l.pace != tickEvery {
		l.d.w.fail("%s loop %d holds frames, and ticks only each %v", l.d.name, l.index, l.pace)
	}
}

// WakeForMail has the intake read later; at once where somebody waits for it to be
// read, because the world has one thread.
func (l *loop) WakeForMail() error {
	if !l.pump.Core().Config().Promises() {
		l.turn(l.pump.ReadMail)
		return nil
	}
	l.d.after(l.d.w.upTo(mailDelay), func() { l.turn(l.pump.ReadMail) })
	return nil
}

// After runs f after a time.
func (l *loop) After(d time.Duration, f func()) {
	l.d.w.lingered++
	l.d.after(d, f)
}

// LinkChanged passes on what has become of a link.
func (l *loop) LinkChanged(e dispatch.LinkEvent) { l.d.linkEvent(l, e) }

// do runs f as a turn of its own.
func (l *loop) do(f func(*pump.Pump)) { l.turn(func() { l.pump.Do(f) }) }

// addAgent takes an accepted connection.
func (l *loop) addAgent(e *end) {
	c := &conn{l: l, e: e, tells: l.d.w.chance(0.3), analyzer: noAnalyzer, place: len(l.agents)}
	e.user = c
	l.agents = append(l.agents, c)
	l.turn(func() { c.joins(l.pump.AddAgent(c, e.mate.proc.host.addr(), c.forgotten)) })
}

// addLink takes a dialled connection.
func (l *loop) addLink(analyzer int, e *end) {
	c := &conn{l: l, e: e, tells: l.d.w.chance(0.3), analyzer: analyzer, first: 1}
	e.user = c
	l.links[analyzer] = c
	l.turn(func() { c.joins(l.pump.AddLink(c, analyzer)) })
}

// retire is loop.RetireLink.
func (l *loop) retire(analyzer int) {
	l.turn(func() { l.pump.RetireLink(analyzer, "removed") })
}

// dieWith excuses what was in flight on the links.
func (l *loop) dieWith() {
	for _, c := range l.links {
		if c != nil {
			c.excuse()
		}
	}
}
