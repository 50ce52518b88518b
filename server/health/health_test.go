package health

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"sluice/server/route"
)

// world is a monitor of two analyzers (weights 3 and 1) and two loops, and
// what it published.
type world struct {
	*Monitor
	tables []*route.Table
}

func newWorld() *world {
	w := &world{}
	w.Monitor = New([]string{"a", "b"}, []float64{3, 1}, 2, func(t *route.Table) { w.tables = append(w.tables, t) },
		slog.New(slog.NewTextHandler(io.Discard, nil)))
	return w
}

func (w *world) states() []State {
	var states []State
	for _, st := range w.Status() {
		states = append(states, st.State)
	}
	return states
}

func shares(t *route.Table) []float64 {
	s := make([]float64, t.Len())
	for i := range s {
		s[i] = t.Weight(i)
	}
	return s
}

func TestUpOnlyWhenEveryLoopIsReady(t *testing.T) {
	type step struct {
		do        func(w *world)
		states    []State
		published int       // tables so far
		shares    []float64 // of the last one; nil when there is none yet
	}
	ready := func(loop, analyzer int) func(*world) {
		return func(w *world) { w.LinkReady(loop, analyzer) }
	}
	lost := func(loop, analyzer int) func(*world) {
		return func(w *world) { w.LinkLost(loop, analyzer, "reset") }
	}
	down, upA, upB, both := []State{Down, Down}, []State{Up, Down}, []State{Down, Up}, []State{Up, Up}
	for name, steps := range map[string][]step{
		"one loop is not enough": {
			{ready(0, 0), down, 0, nil},
			{ready(0, 0), down, 0, nil}, // twice the same loop is still one
			{ready(1, 0), upA, 1, []float64{1, 0}},
		},
		"one loop's loss is enough": {
			{ready(0, 0), down, 0, nil},
			{ready(1, 0), upA, 1, []float64{1, 0}},
			{lost(1, 0), down, 2, []float64{0, 0}},
			{lost(0, 0), down, 2, []float64{0, 0}}, // known already
			{ready(1, 0), down, 2, []float64{0, 0}},
			{ready(0, 0), upA, 3, []float64{1, 0}},
		},
		"analyzers are judged apart, by their configured weights": {
			{ready(0, 0), down, 0, nil},
			{ready(1, 1), down, 0, nil},
			{ready(0, 1), upB, 1, []float64{0, 1}},
			{ready(1, 0), both, 2, []float64{0.75, 0.25}},
			{lost(0, 1), upA, 3, []float64{1, 0}},
		},
		"a dial that fails changes no state": {
			{func(w *world) { w.Failed(1, errors.New("refused")) }, down, 0, nil},
			{lost(0, 1), down, 0, nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			for i, s := range steps {
				s.do(w)
				if got := w.states(); !slices.Equal(got, s.states) {
					t.Fatalf("step %d: states %v, want %v", i, got, s.states)
				}
				if len(w.tables) != s.published {
					t.Fatalf("step %d: %d tables published, want %d", i, len(w.tables), s.published)
				}
				if s.shares != nil {
					if got := shares(w.tables[len(w.tables)-1]); !slices.Equal(got, s.shares) {
						t.Fatalf("step %d: shares %v, want %v", i, got, s.shares)
					}
				}
			}
		})
	}
}

func TestLastErrorAndTransitions(t *testing.T) {
	w := newWorld()
	w.Failed(0, errors.New("refused"))
	if got := w.Status()[0]; got.LastError != "refused" || got.Transitions != 0 {
		t.Fatalf("after a failed dial: %+v", got)
	}
	w.LinkReady(0, 0)
	w.LinkReady(1, 0)
	w.LinkLost(0, 0, "silent")
	got := w.Status()
	if got[0].LastError != "silent" || got[0].Transitions != 2 || got[0].State != Down {
		t.Errorf("after a lost link: %+v", got[0])
	}
	if got[1].LastError != "" || got[1].Transitions != 0 {
		t.Errorf("the other analyzer took part: %+v", got[1])
	}
	if w.LinkLost(1, 0, ""); w.Status()[0].LastError != "silent" {
		t.Error("a loss without a reason wiped the reason before it")
	}
	got[0].LastError = "mine"
	if w.Status()[0].LastError != "silent" {
		t.Error("Status gives away its own memory")
	}
}

// Loops call from their own goroutines: whatever their order, the last table
// agrees with the last state.
func TestConcurrentLoopsLeaveTheTableInAgreement(t *testing.T) {
	const loops = 4
	var last *route.Table // guarded by the monitor: publish is called with its lock held
	m := New([]string{"a"}, []float64{2}, loops, func(t *route.Table) { last = t }, slog.New(slog.DiscardHandler))
	var all sync.WaitGroup
	for loop := range loops {
		all.Go(func() {
			for range 200 {
				m.LinkReady(loop, 0)
				m.LinkLost(loop, 0, "reset")
				_ = m.Status()
			}
			m.LinkReady(loop, 0)
		})
	}
	all.Wait()
	if st := m.Status()[0]; st.State != Up || last == nil || last.Weight(0) != 1 {
		t.Errorf("all loops are ready, but status is %+v", st)
	}
}
