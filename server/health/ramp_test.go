package health

import (
	"testing"
	"time"
)

// However finely it is asked, a ramp has at most rampSteps steps, also for a
// length that rampSteps does not divide.
func TestRampSteps(t *testing.T) {
	for _, length := range []time.Duration{1, 49, 50, 51, 99, 149, 5001, 9999} {
		start := time.Unix(0, 0)
		r := newRamp(length, start)
		if r.part() != rampFloor {
			t.Errorf("%d ns: it begins with %v", length, r.part())
		}
		steps, last := 0, r.part()
		for now := time.Duration(1); now <= length; now++ {
			r.advance(start.Add(now), true)
			if part := r.part(); part < last || r.over() != (now == length) {
				t.Fatalf("%d of %d ns: %v after %v, over %v", now, length, part, last, r.over())
			} else if part > last {
				steps, last = steps+1, part
			}
		}
		if steps > rampSteps || last != 1 {
			t.Errorf("%d ns: %d steps, to %v", length, steps, last)
		}
	}
	if r := newRamp(0, time.Unix(0, 0)); !r.over() || r.part() != 1 {
		t.Error("no slow start has a beginning")
	}
}
