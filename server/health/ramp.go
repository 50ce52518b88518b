package health

import "time"

// ramp is one slow start: the part of its weight that an analyzer has, from
// rampFloor to 1, linear in time, in at most rampSteps steps. Only ticks that
// are TickEvery apart move it, so that other analyzers' events do not make
// more tables, and it stands while the analyzer is suspect. Owned by the Monitor.
type ramp struct {
	length time.Duration
	step   time.Duration // the part of the weight changes at its multiples
	done   time.Duration // how much of length is over
	at     time.Time     // done is of then
}

func newRamp(length time.Duration, now time.Time) ramp {
	// Rounded up, or a last short step would be one too many.
	return ramp{length: length, step: (length + rampSteps - 1) / rampSteps, at: now}
}

// advance takes the time up to now as done, or, when not moving, as passed in
// vain.
func (r *ramp) advance(now time.Time, moving bool) {
	if moving {
		r.done += now.Sub(r.at)
	}
	r.at = now
}

func (r *ramp) over() bool { return r.done >= r.length }

// part is the part of the configured weight, rampFloor to 1.
func (r *ramp) part() float64 {
	if r.over() {
		return 1
	}
	done := r.done - r.done%r.step
	return rampFloor + (1-rampFloor)*float64(done)/float64(r.length)
}
