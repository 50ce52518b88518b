package sim

import (
	"math"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

const (
	// healBound is how long a healed world may take to settle. The longest
	// limits in a row are those of an analyzer that comes back: an ACK timeout
	// or the end of a drain (10 s, 25 s), a line's back-off (7.5 s), the checks
	// and slow start (13 s).
	healBound = 60 * time.Second
	// settledBound is the same for the packets of the settled period.
	settledBound = 60 * time.Second
	// mendGap is the pace at which senders make what they have yet to make.
	mendGap = 50 * time.Millisecond
)

// heal ends all faults and checks that the world settles, that shares are
// exact in a settled world, and that nothing is left behind.
func (w *World) heal() {
	w.tracef("healing")
	w.faults.over = true
	began := w.now
	w.mend()
	reason := ""
	if !w.runUntil(healBound, func() bool {
		if now := w.unsettled(); now != reason {
			reason = now
			w.tracef("%s", reason)
		}
		return reason == ""
	}) {
		w.fail("%v after all faults were healed the world has not settled: %s", healBound, w.unsettled())
	}
	w.faults.healing = w.now - began
	w.tracef("settled after %v", w.faults.healing)
	w.shares()
	w.runFor(6 * time.Second) // idle stages give their memory back
	w.sample()
	for _, d := range w.distributors {
		d.checkEmpty()
	}
	w.oracle.final()
}

// mend makes everybody well.
func (w *World) mend() {
	for _, p := range w.paths {
		p.latency, p.jitter, p.rate, p.hole = w.upTo(time.Millisecond), 100*time.Microsecond, 0, 0
		p.slice, p.capacity = 1<<20, 1<<20
	}
	w.hurry()
	for _, a := range w.analyzers {
		a.calm()
		a.perFrame = min(a.perFrame, 20*time.Microsecond)
		a.resume()
		a.revive()
		w.reviveLater(a.revive)
	}
	for _, d := range w.distributors {
		d.letters.writable, d.letters.max = true, 1<<40
		d.resume()
		d.revive()
		w.reviveLater(d.revive)
		if d.up && !d.draining {
			d.reload(w.firstMembers())
		}
	}
	for _, a := range w.agents {
		a.polite = a.polite || a.conn == nil
		a.resume()
		a.revive()
		a.setPace(a.plan, a.burst, min(a.gap, mendGap))
	}
	for _, s := range w.submitters {
		s.setPace(s.plan, s.burst, min(s.gap, mendGap))
	}
}

// hurry brings what a slow path held to its end at once. Bytes of connections
// that their senders have long given up are among it.
func (w *World) hurry() {
	for _, p := range w.processes {
		for _, e := range p.ends {
			e.in.hurry()
			e.out.hurry()
		}
	}
}

// reviveLater starts somebody who was on the way out when all was healed.
func (w *World) reviveLater(revive func()) {
	w.after(5*time.Second, func() {
		revive()
		w.reviveLater(revive)
	})
}

// settled says that every packet has its fate, nobody holds anything, and all
// analyzers are up for everybody.
func (w *World) settled() bool { return w.unsettled() == "" }

func (w *World) unsettled() string {
	for _, a := range w.agents {
		if !a.idle() {
			return a.name + " waits: " + a.state()
		}
	}
	for _, s := range w.submitters {
		if !s.idle() {
			return s.name + " waits for answers"
		}
	}
	for _, d := range w.distributors {
		switch {
		case !d.up || d.draining:
			return d.name + " is not up"
		case !d.letters.empty():
			return d.name + " has dead letters"
		}
		if all, _ := d.unsettled(); all > 0 {
			return d.name + " holds frames"
		}
		for i := range w.analyzers {
			if !d.isUp(i) {
				return d.name + " finds " + w.analyzers[i].name + " not up"
			}
		}
	}
	return ""
}

// dispatched is for which analyzers a distributor has picked, what it has given
// to each, and how many frames went another way than they were picked for.
func (d *distributor) dispatched() (picked, given []uint64, astray uint64) {
	picked, given = make([]uint64, len(d.w.analyzers)), make([]uint64, len(d.w.analyzers))
	var n dispatch.Counters
	for _, l := range d.loops {
		l.pump.Snapshot(&n)
		for i, a := range n.Analyzers {
			picked[i] += a.Picked
			given[i] += a.Dispatched
		}
		astray += n.Spilled + n.Rejected[protocol.NackBusy]
	}
	return picked, given, astray
}

// shares sends packets through the settled world, and compares what the
// analyzers were given with their weights.
func (w *World) shares() {
	type tally struct {
		picked, given []uint64
		astray        uint64
	}
	before := make([]tally, len(w.distributors))
	for i, d := range w.distributors {
		before[i].picked, before[i].given, before[i].astray = d.dispatched()
	}
	each := w.knobs.settled/(len(w.agents)+len(w.submitters)) + 1
	for _, a := range w.agents {
		a.setPace(each, 20, mendGap)
	}
	for _, s := range w.submitters {
		s.setPace(each, 20, mendGap)
	}
	if !w.runUntil(settledBound, w.settled) {
		w.fail("the packets of the settled period have not settled after %v: %s", settledBound, w.unsettled())
	}
	if w.knobs.core.Route != dispatch.RouteWeighted {
		return
	}
	for i, d := range w.distributors {
		picked, given, astray := d.dispatched()
		for a := range picked {
			picked[a] -= before[i].picked[a]
			given[a] -= before[i].given[a]
		}
		d.compare("picked", picked)
		// With small windows a frame may wait, and then go where there is room.
		if astray == before[i].astray && w.knobs.core.LinkWindowFrames >= 1024 {
			d.compare("given", given)
		}
	}
}

// compare holds the exact split: within 10 packets or 0.1 % of the weights.
func (d *distributor) compare(what string, counts []uint64) {
	total := uint64(0)
	for _, n := range counts {
		total += n
	}
	for i, n := range counts {
		want := d.shared.Table.Load().Weight(i) * float64(total)
		if off := math.Abs(float64(n) - want); off > max(10, float64(total)/1000) {
			d.w.fail("%s: of %d packets in a settled world %s was %s %d, and its weight is worth %.1f", d.name, total, d.w.analyzers[i].name, what, n, want)
		}
	}
}
