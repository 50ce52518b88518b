package sim

import (
	"fmt"
	"time"

	"sluice/server/dispatch"
	"sluice/server/health"
	"sluice/server/pump"
	"sluice/server/route"
)

// distributor is one distributor: its loops, its health monitor, its lines to
// the analyzers, and its folder of dead letters, which outlives it. It does
// what server/node does. Owned by the world.
type distributor struct {
	process
	index   int
	epoch   time.Duration // what its clock begins with
	born    time.Duration
	shared  *dispatch.Shared
	loops   []*loop
	health  *health.Monitor
	letters letters
	lines   []line // by loop, analyzer
	next    int    // submissions take the loops in turn

	awaited []*submission // that somebody waits to hear of
	unheard []packetID    // accepted (202), and nobody hears of them

	draining bool
	buried   bool // what was written to links is a dead letter all the same
	graceEnd time.Duration
	past     coreTotals // of earlier lives
}

func newDistributor(w *World, index int) *distributor {
	d := &distributor{index: index}
	d.init(w, fmt.Sprintf("distributor %d", index))
	d.letters = letters{d: d, max: w.knobs.letterBytes, writable: true}
	return d
}

// clock is the time as the cores see it.
func (d *distributor) clock() time.Duration { return d.epoch + d.w.now - d.born }

func (d *distributor) start() {
	w := d.w
	d.live()
	d.born, d.epoch = w.now, w.knobs.epoch
	d.draining, d.buried, d.awaited, d.unheard = false, false, nil, nil
	d.shared = dispatch.NewShared(w.knobs.core, len(w.analyzers))
	d.loops = d.loops[:0]
	for i := range w.knobs.loops {
		d.loops = append(d.loops, newLoop(d, i))
	}
	d.health = newMonitor(d)
	d.lines = make([]line, len(d.loops)*len(w.analyzers))
	for i := range d.loops {
		for a := range w.analyzers {
			ln := d.line(i, a)
			*ln = line{d: d, loop: i, analyzer: a, pause: firstPause}
			ln.dial()
		}
	}
	d.letters.open()
	d.accept = d.accepted
	d.after(health.TickEvery, d.healthTick)
	w.tracef("%s starts", d.name)
}

func (d *distributor) line(loop, analyzer int) *line {
	return &d.lines[loop*len(d.w.analyzers)+analyzer]
}

func (d *distributor) healthTick() {
	d.health.Tick()
	d.after(health.TickEvery, d.healthTick)
}

// accepted gives a connection to the loop that has the fewest.
func (d *distributor) accepted(e *end) {
	best := d.loops[0]
	for _, l := range d.loops[1:] {
		if len(l.agents) < len(best.agents) {
			best = l
		}
	}
	best.addAgent(e)
}

func (d *distributor) nextLoop() *loop {
	d.next++
	return d.loops[d.next%len(d.loops)]
}

func (d *distributor) publish(t *route.Table) { d.shared.Table.Store(t) }

// linkEvent is what server/node does with the events of a loop.
func (d *distributor) linkEvent(l *loop, e dispatch.LinkEvent) {
	a := e.Link.Index()
	d.w.tracef("%s loop %d, link to analyzer %d: %s %s", d.name, l.index, a, [...]string{"ready", "suspect", "well", "draining", "lost"}[e.Change], e.Reason)
	switch e.Change {
	case dispatch.LinkIsReady:
		d.line(l.index, a).ready()
		d.health.LinkReady(l.index, a)
	case dispatch.LinkIsSuspect:
		d.health.LinkSuspect(l.index, a, e.Reason)
	case dispatch.LinkIsWell:
		d.health.LinkWell(l.index, a)
	case dispatch.LinkIsDraining:
		d.health.LinkDraining(l.index, a, e.Reason)
	case dispatch.LinkIsLost:
		l.fallen[a].wasSilent(e.Reason)
		d.health.LinkLost(l.index, a, e.Reason)
		d.line(l.index, a).lost()
	}
}

// crash ends the process with all that is in its memory.
func (d *distributor) crash(power bool) {
	if !d.up {
		return
	}
	d.w.tracef("%s crashes", d.name)
	d.forgetMail()
	for _, l := range d.loops {
		l.dieWith()
	}
	d.letters.crash()
	d.end(power)
}

// end is the end of the process, one way or another.
func (d *distributor) end(power bool) {
	d.past.add(d)
	d.die(power)
}

// drain is SIGTERM: node.shutdown in events.
func (d *distributor) drain() {
	if !d.up || d.draining {
		return
	}
	d.w.tracef("%s drains", d.name)
	d.draining = true
	d.graceEnd = d.w.now + d.w.knobs.grace
	d.health.Silence()
	d.accept = nil
	d.drainLoops(0)
}

// drainLoops asks one loop after the other to drain, and waits for each.
func (d *distributor) drainLoops(from int) {
	if from == len(d.loops) {
		d.awaitSettled()
		return
	}
	l := d.loops[from]
	l.pump.Intake().Close()
	d.after(d.w.upTo(mailDelay), func() {
		l.do((*pump.Pump).Drain)
		d.drainLoops(from + 1)
	})
}

func (d *distributor) awaitSettled() {
	left, flying := d.unsettled()
	if left > 0 && d.w.now < d.graceEnd && !(d.shared.Table.Load().Empty() && flying == 0) {
		d.after(tickEvery, d.awaitSettled)
		return
	}
	if left > 0 {
		d.buried = true
		for _, l := range d.loops {
			l.do(func(p *pump.Pump) { p.Core().DeadLetterAll() })
		}
	}
	d.checkAnswered()
	for _, l := range d.loops {
		l.do((*pump.Pump).Finish)
	}
	d.awaitGone(d.w.now + time.Second)
}

func (d *distributor) awaitGone(until time.Duration) {
	open := 0
	for _, l := range d.loops {
		open += len(l.agents)
	}
	if open > 0 && d.w.now < until {
		d.after(tickEvery, func() { d.awaitGone(until) })
		return
	}
	for _, l := range d.loops {
		l.dieWith()
		l.pump.Intake().Abandon()
	}
	d.letters.close()
	d.w.tracef("%s exits", d.name)
	d.end(false)
}

// unsettled is how many admitted frames have no answer, and how many of them
// links hold.
func (d *distributor) unsettled() (all, inFlight int) {
	for _, l := range d.loops {
		all += l.pump.Core().Unsettled() + l.pump.Intake().Waiting()
		for _, link := range l.pump.Core().Links() {
			inFlight += link.InFlight()
		}
	}
	return all, inFlight
}
