package cost

import (
	"math"
	"testing"
)

// TestFitRecoversCoefficients makes points of known costs, and lets the fit find
// them.
func TestFitRecoversCoefficients(t *testing.T) {
	want := []float64{0.06, 0.2, 0.5, 13, 12, 0.3, 0.05, 0.1}
	const cache = 64 << 20
	m, err := Fit(made(cpuRow(cache), want))
	if err != nil {
		t.Fatal(err)
	}
	if m.Cache != cache {
		t.Errorf("the cache is %g, want %d", m.Cache, cache)
	}
	for i, term := range m.CPU.Terms {
		if math.Abs(term.Value-want[i]) > 1e-3*want[i] {
			t.Errorf("%s: %g %s, want %g", term.Name, term.Value, term.Unit, want[i])
		}
	}
	if e := Judge(&m.CPU, made(cpuRow(cache), want), func(m Measured) float64 { return m.CPU }, func(Point) bool { return true }); e.Worst > 1e-4 || e.N != len(Grid()) {
		t.Errorf("%+v", e)
	}
}

// TestFitDoesNotSeeWhatIsHeldOut spoils every held-out point and finds the same
// model, which is then as wrong there as they were spoilt.
func TestFitDoesNotSeeWhatIsHeldOut(t *testing.T) {
	all := made(cpuRow(32<<20), []float64{0.06, 0.2, 0.5, 13, 12, 0.3, 0.05, 0.1})
	honest, err := Fit(all)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if all[i].HeldOut {
			all[i].CPU, all[i].Calls, all[i].Peak = all[i].CPU/2, all[i].Calls/2, all[i].Peak/2
		}
	}
	spoilt, err := Fit(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]Fitted{{honest.CPU, spoilt.CPU}, {honest.Calls, spoilt.Calls}, {honest.Quiet, spoilt.Quiet}, {honest.Peak, spoilt.Peak}} {
		for i := range pair[0].Terms {
			if pair[0].Terms[i] != pair[1].Terms[i] {
				t.Errorf("%+v became %+v", pair[0].Terms[i], pair[1].Terms[i])
			}
		}
	}
	e := Judge(&spoilt.CPU, all, func(m Measured) float64 { return m.CPU }, func(p Point) bool { return p.HeldOut })
	if e.N != len(heldOut) || math.Abs(e.Median-1) > 0.01 || math.Abs(e.Worst-1) > 0.01 {
		t.Errorf("held out: %+v, want everything twice what was measured", e)
	}
}

// TestFitIsNeverNegative gives values that an ordinary fit would meet with a
// negative coefficient.
func TestFitIsNeverNegative(t *testing.T) {
	x, err := fit([][]float64{{1, 1}, {1, 2}, {1, 3}}, []float64{3, 2, 1})
	if err != nil || x[0] <= 0 || x[1] != 0 {
		t.Errorf("%v, error %v", x, err)
	}
	for _, bad := range [][]float64{{1, 2, 0}, {1, 2}} {
		if x, err := fit([][]float64{{1, 1}, {1, 2}, {1, 3}}, bad); err == nil {
			t.Errorf("%v was fitted to: %v", bad, x)
		}
	}
}

// TestForecastIsBoundByTheScarcer checks loops, machines and the network.
func TestForecastIsBoundByTheScarcer(t *testing.T) {
	// A packet costs 1 µs and nothing else.
	m, err := Fit(made(cpuRow(1<<20), []float64{1, 0, 0, 0, 0, 0, 0, 0}))
	if err != nil {
		t.Fatal(err)
	}
	p := Point{Agents: 64, Analyzers: 8, Size: 1000 - FrameBytes, Loops: 1}
	f := m.Forecast(p, Machine{Cores: 16, Loops: 8, Machines: 2, Network: 10e9})
	if math.Abs(f.ByCPU/16e6-1) > 1e-3 || f.Links != 16 {
		t.Errorf("%+v: want 16 loops of 1,000,000/s", f)
	}
	if want := 2 * 10e9 / 8 / 1000 / wireShare; math.Abs(f.Network/want-1) > 1e-9 || f.Rate() != f.Network {
		t.Errorf("%+v: want %g/s from the network", f, want)
	}
}

// made are the points of the grid with CPU from these costs.
func made(row func(Point) []float64, costs []float64) []Measured {
	var all []Measured
	for _, p := range Grid() {
		all = append(all, Measured{Point: p, CPU: dot(row(p), costs), Calls: dot(callRow(p), []float64{1, 2, 0.5, 1}),
			Peak: 16 + float64(p.Agents)/256})
	}
	return all
}
