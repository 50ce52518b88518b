package health

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/server/route"
)

func TestLastErrorAndTransitions(t *testing.T) {
	w := newWorld(t, 2, 0, 3, 1)
	w.Failed(0, errors.New("refused"))
	if got := w.Status()[0]; got.LastError != "refused" || got.Transitions != 0 || got.Failures != 1 {
		t.Fatalf("after a failed dial: %+v", got)
	}
	w.LinkReady(0, 0)
	w.LinkReady(1, 0)
	w.clock = w.clock.Add(time.Minute)
	w.LinkLost(0, 0, "silent")
	got := w.Status()
	if got[0].LastError != "silent" || got[0].Transitions != 2 || got[0].Failures != 2 || got[0].State != Down || !got[0].Since.Equal(w.clock) {
		t.Errorf("after a lost link: %+v", got[0])
	}
	if got[1].LastError != "" || got[1].Transitions != 0 || got[1].Failures != 0 {
		t.Errorf("the other analyzer took part: %+v", got[1])
	}
	if w.LinkLost(1, 0, ""); w.Status()[0].LastError != "silent" {
		t.Error("a loss without a reason wiped the reason before it")
	}
	got[0].LastError = "mine"
	if w.Status()[0].LastError != "silent" {
		t.Error("Status gives away its own memory")
	}
	w.LinkReady(0, 0)
	w.LinkDraining(0, 0, "restarting")
	if w.LinkLost(0, 0, "closed"); w.Status()[0].Failures != 4 { // a link that drains fails once, not twice
		t.Errorf("%d failures after a failed dial and three lost links", w.Status()[0].Failures)
	}
}

func TestErrorsThatDifferInNumbersAreLoggedOnce(t *testing.T) {
	w := runScript(t, 1, 1, time.Second, `
		failed a read-127.0.0.1:4001-refused
		failed a read-127.0.0.1:4002-refused
		failed a timeout
		failed a read-127.0.0.1:4003-refused
		failed a timeout
		ready 0 a
		lost 0 a reset
		failed a timeout
		failed a timeout`)
	lines := 0
	for _, l := range w.logged {
		if strings.Contains(l, "not reachable") {
			lines++
		}
	}
	if lines != 3 {
		t.Errorf("%d lines, want 3: %q", lines, w.logged)
	}
	for i := range 100 {
		w.Failed(0, errors.New(strings.Repeat("x", i+1)))
	}
	if n := len(w.logged); n > 16 {
		t.Errorf("%d lines for a hundred kinds of errors", n)
	}
}

func TestEachTransitionIsLoggedOnceWithItsReason(t *testing.T) {
	w := runScript(t, 1, 2, time.Second, `
		failed b refused
		failed b refused
		ready 0 a
		ready 0 b
		suspect 0 b late
		suspect 0 b later
		well 0 b
		ticks 1s
		draining 0 b restarting
		lost 0 b closed
		failed b refused
		failed b refused
		ready 0 b
		lost 0 b reset
		failed b refused
		ready 0 b
		quiet 4s => up 3, up 1; 14`)
	want := []string{
		`WARN analyzer not reachable analyzer="b" error="refused"`,
		`INFO analyzer is up analyzer="a" reason="every loop is connected"`,
		`INFO analyzer is up analyzer="b" reason="every loop is connected" suppressed="1"`,
		`WARN analyzer is suspect analyzer="b" reason="late"`,
		`INFO analyzer is up analyzer="b" reason="no suspect link for 1s"`,
		`INFO analyzer is draining analyzer="b" reason="restarting"`,
		`WARN analyzer is down analyzer="b" reason="restarting"`,
		`WARN analyzer not reachable analyzer="b" error="refused"`,
		`INFO analyzer is recovering analyzer="b" reason="1 of 3 checks passed"`,
		`INFO analyzer is up analyzer="b" reason="recovered, at full weight" suppressed="2"`,
	}
	if !slices.Equal(w.logged, want) {
		t.Fatalf("logged:\n%q\nwant:\n%q", w.logged, want)
	}
	if n := w.Status()[1].Transitions; n != 7 {
		t.Errorf("%d transitions of b, want 7", n)
	}
	w.Silence()
	w.LinkLost(0, 0, "we close")
	w.LinkLost(0, 1, "we close")
	w.Failed(0, errors.New("another"))
	if len(w.logged) != len(want) {
		t.Errorf("logged after Silence: %q", w.logged[len(want):])
	}
	if st := w.Status(); st[0].State != Down || st[1].State != Down || !w.tables[len(w.tables)-1].Empty() {
		t.Errorf("Silence must only silence: %+v", st)
	}
}

func TestConfigIsCopied(t *testing.T) {
	names, weights := []string{"a"}, []float64{2}
	m := New(Config{Names: names, Weights: weights, Loops: 1, Publish: func(*route.Table) {}, Log: slog.New(slog.DiscardHandler)})
	weights[0] = 7
	if m.LinkReady(0, 0); m.Status()[0].EffectiveWeight != 2 {
		t.Errorf("the weight is %v, want the one that was configured", m.Status()[0].EffectiveWeight)
	}
}

// Loops call from their own goroutines, and the node ticks: whatever their
// order, the last table agrees with the last state.
func TestConcurrentLoopsLeaveTheTableInAgreement(t *testing.T) {
	const loops = 4
	var last *route.Table // guarded by the monitor: publish is called with its lock held
	m := New(Config{Names: []string{"a"}, Weights: []float64{2}, Loops: loops,
		Publish: func(t *route.Table) { last = t }, Log: slog.New(slog.DiscardHandler)})
	var all sync.WaitGroup
	for loop := range loops {
		all.Go(func() {
			for range 200 {
				m.LinkReady(loop, 0)
				m.LinkSuspect(loop, 0, "late")
				m.LinkWell(loop, 0)
				m.LinkDraining(loop, 0, "restarting")
				m.LinkLost(loop, 0, "reset")
				m.Failed(0, errors.New("refused"))
				m.Tick()
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

func TestAQuietTickCostsNoMemory(t *testing.T) {
	w := runScript(t, 2, 2, time.Second, `
		ready 0 a
		ready 1 a
		ready 0 b
		ready 1 b => up 3, up 1; 2`)
	if n := testing.AllocsPerRun(100, w.Tick); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
