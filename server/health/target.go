package health

import (
	"time"

	"sluice/internal/ratelog"
)

// phase is how far an analyzer is from its full weight. The State that people
// see follows from the phase and the links (see verdict).
type phase uint8

const (
	awaited  phase = iota // never yet had a link from every loop: owes nobody a proof
	lost                  // some link was lost or drains; or all are back, and none has proved itself
	checking              // every loop has seen a good check
	ramping               // every loop has seen all of them; slow start
	serving               // full weight
)

// target is what is known of one analyzer. Owned by the Monitor.
type target struct {
	name   string
	weight float64 // as configured
	links  []link  // by loop
	left   bool    // it was removed: weight 0, and nobody is told of it

	phase     phase
	ramp      ramp
	suspectAt time.Time // when a link was last known to be suspect

	state       State
	since       time.Time
	transitions int

	lossReason    string // why it left the table
	suspectReason string // why a link is suspect
	upReason      string // what made it up
	lastError     string
	failures      uint64         // links lost, dials failed
	dials         ratelog.Faults // dials that failed since it was up
	untold        uint64         // of those, not logged, and to be told with its return
}

func newTarget(name string, weight float64, links []link, now time.Time) target {
	return target{name: name, weight: weight, links: links, state: Down, since: now}
}

// whole says whether every loop has a link that takes packets.
func (t *target) whole() bool { return t.count(linkReady) == len(t.links) }

func (t *target) count(p linkPhase) int {
	n := 0
	for i := range t.links {
		if t.links[i].phase == p {
			n++
		}
	}
	return n
}

func (t *target) suspect() bool {
	for i := range t.links {
		if t.links[i].suspect {
			return true
		}
	}
	return false
}

// checks is how many good checks every loop has seen.
func (t *target) checks() int {
	fewest := Checks
	for i := range t.links {
		fewest = min(fewest, t.links[i].checks)
	}
	return fewest
}

// advance moves the phase as far as links, checks and ramp allow.
func (t *target) advance(now time.Time, slowStart time.Duration) {
	if !t.whole() {
		if t.phase > lost {
			t.phase = lost
			for i := range t.links {
				t.links[i].distrust(now)
			}
		}
		return
	}
	if t.phase == awaited {
		t.serve("every loop is connected")
	}
	if t.phase == lost && t.checks() > 0 {
		t.phase = checking
	}
	if t.phase == checking && t.checks() == Checks {
		t.phase, t.ramp = ramping, newRamp(slowStart, now)
	}
	if t.phase == ramping && t.ramp.over() {
		t.serve("recovered, at full weight")
	}
}

// serve gives the full weight.
func (t *target) serve(why string) {
	t.phase, t.upReason = serving, why
	t.untold += t.dials.Over()
}

// effective is the weight that counts in the table.
func (t *target) effective() float64 {
	switch t.phase {
	case ramping:
		return t.weight * t.ramp.part()
	case serving:
		return t.weight
	}
	return 0
}

// verdict is the state now. It depends on the state before in two places: a
// suspect is held for a while, and one that is down and says GOAWAY stays
// down, because nothing changes for anybody.
func (t *target) verdict(now time.Time) State {
	held := t.state == Suspect && now.Sub(t.suspectAt) < SuspectHold
	switch {
	case t.phase <= lost && t.state != Down && t.count(linkGone) == 0 && t.count(linkDraining) > 0:
		return Draining
	case t.phase <= lost:
		return Down
	case t.phase == checking:
		return Recovering // suspect or not: it takes nothing, and its checks begin anew
	case held || t.suspect():
		return Suspect
	case t.phase == ramping:
		return Recovering
	}
	return Up
}

func (t *target) enter(s State, now time.Time) {
	if s == Up && t.state == Suspect {
		t.upReason = "no suspect link for " + SuspectHold.String()
	}
	t.state, t.since = s, now
	t.transitions++
}
