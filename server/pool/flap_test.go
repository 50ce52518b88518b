package pool

import (
	"testing"
	"time"
)

// flaps lets an analyzer of two loops come back each time it may, stand for a
// while and be lost, and returns the pauses.
func flaps(f *flap, now *time.Time, times int, stands time.Duration) (pauses []time.Duration) {
	for range times {
		f.ready(0, *now)
		*now = now.Add(5 * time.Millisecond)
		f.ready(1, *now)
		*now = now.Add(stands)
		f.lost(1, *now)
		first := f.wait(*now)
		f.lost(0, now.Add(time.Millisecond))
		pauses = append(pauses, first)
		*now = now.Add(first)
		if f.wait(*now) != 0 {
			panic("the second link's loss has moved the end")
		}
	}
	return pauses
}

func TestAFlappingAnalyzerSettlesAtOneTryAMinute(t *testing.T) {
	f, now := &flap{lines: 2}, time.Unix(1e9, 0)
	pauses := flaps(f, &now, 20, 4*time.Second)
	for i, p := range pauses {
		longest := flapPause(i)
		if p < longest/2 || p > longest {
			t.Errorf("pause %d is %s, want %s to %s", i, p, longest/2, longest)
		}
	}
}

func TestStandingPaysLossesBack(t *testing.T) {
	f, now := &flap{lines: 2}, time.Unix(1e9, 0)
	flaps(f, &now, 20, time.Second)
	if p := flaps(f, &now, 1, 20*steadyAfter); p[0] > firstPause {
		t.Errorf("%s after it stood for long, want at most %s", p[0], firstPause)
	}
	if last := flapPause(19); last != time.Minute {
		t.Errorf("settles at %s", last)
	}
	if p := flaps(f, &now, 10, steadyAfter); p[9] > firstFlapPause {
		t.Errorf("an analyzer that stands for %s each time waits %s", steadyAfter, p[9])
	}
}

// While one loop has no link nobody uses the analyzer, and the other loop's link
// has proven nothing.
func TestALinkThatStandsAlonePaysNothing(t *testing.T) {
	f, now := &flap{lines: 2}, time.Unix(1e9, 0)
	flaps(f, &now, 20, time.Second)
	f.ready(0, now)
	now = now.Add(time.Hour)
	f.lost(0, now)
	if w := f.wait(now); w < longestFlapPause/2 {
		t.Errorf("waits %s", w)
	}
	f.forget()
	if w := f.wait(now); w != 0 {
		t.Errorf("another target waits %s", w)
	}
	f.lost(1, now) // never stood: no loss
	if w := f.wait(now); w != 0 {
		t.Errorf("a link that never stood waits %s", w)
	}
}
