package health

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// flapFor and flapEvery: ten minutes of a change every half second.
const (
	flapFor   = 10 * time.Minute
	flapEvery = 500 * time.Millisecond
	flaps     = int(flapFor / flapEvery)
)

// flap makes the two events in turn, one every half second, and lets links
// outside the table answer as many PINGs as they like in between.
func (w *world) flap(loop, analyzer int, one, other string) {
	for i := range flaps {
		w.act([]string{one, other}[i%2], loop, analyzer, "flap")
		w.ticks(flapEvery, func() {
			for loop, l := range w.links[analyzer] {
				if one != "suspect" && l.phase == linkReady {
					w.LinkWell(loop, analyzer)
				}
			}
		})
	}
}

// The bound: while another analyzer has weight, ten minutes of flapping are at
// most the way out of the table: one transition, two with GOAWAY.
func TestFlappingMakesFewTransitions(t *testing.T) {
	for _, tc := range []struct {
		name       string
		one, other string
		most       int
		end        State
	}{
		{"connection", "lost", "ready", 1, Down},
		{"GOAWAY", "draining", "ready", 2, Down},
		{"GOAWAY and connection", "draining", "lost", 2, Down},
		{"late packets", "suspect", "well", 1, Suspect},
	} {
		for _, loops := range []int{1, 3} {
			t.Run(tc.name, func(t *testing.T) {
				w := newWorld(t, loops, time.Second, 1, 1)
				for loop := range loops {
					w.LinkReady(loop, 0)
					w.act("ready", loop, 1, "")
				}
				tables := len(w.tables)
				w.flap(0, 1, tc.one, tc.other)
				st := w.Status()
				if n := st[1].Transitions - 1; n < 1 || n > tc.most || st[1].State != tc.end {
					t.Errorf("%d flaps: %d transitions, want at most %d, and %+v", flaps, n, tc.most, st[1])
				}
				if n := len(w.tables) - tables; n > 1 {
					t.Errorf("%d flaps made %d tables, want one at most", flaps, n)
				}
				if st[0].Transitions != 1 {
					t.Errorf("the other analyzer: %+v", st[0])
				}
			})
		}
	}
}

// With nobody else to take packets, each return is a table, because waiting
// would help nobody: then the bound is one transition a flap.
func TestTheOnlyAnalyzerFlaps(t *testing.T) {
	w := newWorld(t, 1, time.Second, 1, 0)
	w.act("ready", 0, 0, "")
	w.act("ready", 0, 1, "")
	w.flap(0, 0, "lost", "ready")
	if n := w.Status()[0].Transitions - 1; n != flaps || len(w.tables)-1 != flaps {
		t.Errorf("%d transitions and %d tables of %d flaps", n, len(w.tables)-1, flaps)
	}
}

// However it flaps, an analyzer beside another one becomes recovering at most
// once each CheckEvery, and flapping faster than that never.
func TestFlappingAtAnyPace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loops := rapid.IntRange(1, 3).Draw(t, "loops")
		w := newWorld(t, loops, rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "slow start"), 1, 1)
		for loop := range loops {
			w.LinkReady(loop, 0)
			w.act("ready", loop, 1, "")
		}
		up, start := w.Status()[1].Transitions, w.clock
		longest := rapid.SampledFrom([]time.Duration{CheckEvery - 1, 3 * time.Second}).Draw(t, "longest")
		for range rapid.IntRange(1, 100).Draw(t, "flaps") {
			loop := rapid.IntRange(0, loops-1).Draw(t, "loop")
			w.act("lost", loop, 1, "flap")
			w.act("ready", loop, 1, "")
			w.ticks(time.Duration(rapid.Int64Range(1, int64(longest)).Draw(t, "for")), func() {
				for loop := range loops {
					w.LinkWell(loop, 1)
				}
			})
		}
		most := 1 // down
		if longest >= CheckEvery {
			most += 3 * int(w.clock.Sub(start)/CheckEvery) // recovering, up, down
		}
		if n := w.Status()[1].Transitions - up; n > most {
			t.Fatalf("%d transitions in %v, want at most %d", n, w.clock.Sub(start), most)
		}
	})
}
