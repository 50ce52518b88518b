package sim

import (
	"time"

	"sluice/server/dispatch"
)

// loop does around a core what server/loop does, in the same order. Owned by
// the world.
type loop struct {
	d     *distributor
	index int
	core  *dispatch.Core

	owned, lent desk
	sessions    int

	dirtyLinks    []*dispatch.Link
	dirtySessions []*dispatch.Session
	doomed        []*dispatch.Link
	happened      []dispatch.LinkEvent
	lost          []*loopConn
	blocked       []*loopConn
	lingering     []*loopConn
	conns         []*loopConn // open ones of agents
	fallen        []*loopConn // by analyzer, the last connection that was lost
	flushing      bool

	quietTicks int
	tickGen    int // of the pace: what an earlier pace scheduled is void
	count      dispatch.Counters
}

const (
	idleTick    = 250 * time.Millisecond // as in server/loop
	idleAfter   = 50
	lingerFor   = time.Second
	lingerBytes = 8 << 20

	linkWriteBytes = 256 << 10 // as in server/dispatch
)

func newLoop(d *distributor, index int) *loop {
	l := &loop{d: d, index: index, core: dispatch.New(d.w.knobs.core, d.shared, len(d.w.analyzers))}
	l.fallen = make([]*loopConn, len(d.w.analyzers))
	l.owned.open(l, true)
	l.lent.open(l, false)
	l.setPace(tickEvery)
	return l
}

// setPace ticks every so often from now on.
func (l *loop) setPace(every time.Duration) {
	l.tickGen++
	gen := l.tickGen
	var tick func()
	tick = func() {
		if gen == l.tickGen {
			l.d.after(every, tick)
			l.tick()
		}
	}
	l.d.after(every, tick)
}

func (l *loop) beginTurn() {
	l.core.BeginTurn(l.d.clock())
	if l.quietTicks > idleAfter {
		l.setPace(tickEvery)
	}
	l.quietTicks = 0
}

func (l *loop) tick() {
	l.core.BeginTurn(l.d.clock())
	l.core.Tick()
	busy := l.core.Unsettled() + len(l.blocked) + len(l.lingering)
	for _, c := range l.blocked {
		c.blocked = false
		switch {
		case c.session != nil:
			l.core.Touch(c.session)
		case c.link != nil && !c.gone:
			l.core.TouchLink(c.link)
		}
	}
	l.blocked = l.blocked[:0]
	l.flush()
	l.endLingering()
	switch {
	case busy > 0:
		if l.quietTicks > idleAfter {
			l.setPace(tickEvery)
		}
		l.quietTicks = 0
	case l.quietTicks <= idleAfter:
		if l.quietTicks++; l.quietTicks > idleAfter {
			l.setPace(idleTick)
		}
	}
}

// addAgent takes an accepted connection.
func (l *loop) addAgent(e *end) {
	c := &loopConn{l: l, e: e, place: len(l.conns)}
	e.user = c
	l.conns = append(l.conns, c)
	l.sessions++
	l.beginTurn()
	c.session = l.core.Open(c)
	l.flush()
}

// addLink takes a dialled connection.
func (l *loop) addLink(analyzer int, e *end) {
	c := &loopConn{l: l, e: e, link: l.core.Links()[analyzer], first: 1}
	e.user = c
	l.beginTurn()
	l.core.LinkOpened(c.link, c)
	l.flush()
}

// tickEvery is how often a loop with work ticks.
const tickEvery = dispatch.TickEvery
