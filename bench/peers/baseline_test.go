package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestMedianInterval holds the ranks against the tables of the sign test, and
// the coverage against what was drawn.
func TestMedianInterval(t *testing.T) {
	for n, rank := range map[int]int{6: 1, 9: 2, 15: 4, 20: 6, 30: 10, 50: 18} {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(n - i)
		}
		low, high, coverage := medianInterval(values)
		if low != float64(rank) || high != float64(n+1-rank) || coverage < 0.95 || coverage > 0.99 {
			t.Errorf("%d values: %g to %g with %.3f, want rank %d", n, low, high, coverage, rank)
		}
	}
	if low, high, _ := medianInterval([]float64{1, 1, 1, 1, 1}); low != 0 || !math.IsInf(high, 1) {
		t.Errorf("five values have an interval: %g to %g", low, high)
	}
	r := rand.New(rand.NewPCG(1, 2))
	held := 0
	for range 2000 {
		values := make([]float64, 15)
		for i := range values {
			values[i] = math.Exp(r.NormFloat64()) // median 1
		}
		if low, high, _ := medianInterval(values); low <= 1 && 1 <= high {
			held++
		}
	}
	if held < 1900 { // 96.5 % are due, with a standard deviation of 8
		t.Errorf("%d of 2000 intervals hold the median", held)
	}
}

// TestBaselineVerdicts makes a new Sluice that takes 10 % more CPU, and is as
// fast, in rounds that differ by more than that and of which two are spoiled.
func TestBaselineVerdicts(t *testing.T) {
	var o outcome
	o.Throughput = []series{{Name: "sluice"}, {Name: "baseline"}}
	for i := range 15 {
		machine := 1 + float64(i%5)/4
		now, before := sample{Round: i + 1, CPU: 1.1 * machine, Rate: 1 / machine}, sample{Round: i + 1, CPU: machine, Rate: 1 / machine}
		if i == 3 || i == 9 {
			now.Rate, now.CPU = now.Rate/3, now.CPU*3
		}
		o.Throughput[0].Runs, o.Throughput[1].Runs = append(o.Throughput[0].Runs, now), append(o.Throughput[1].Runs, before)
	}
	o.Baseline = compareWithBaseline(&o)
	got := map[string]string{}
	for _, c := range o.Baseline {
		got[c.What] = c.verdict()
	}
	if got["CPU per packet, new/old"] != "worse" || got["rate, old/new"] != "not worse" {
		t.Errorf("%v", got)
	}
	if err := worse(o.Baseline); err == nil || strings.Contains(err.Error(), "; ") || !strings.Contains(err.Error(), "CPU per packet, new/old: worse") {
		t.Errorf("the error: %v", err)
	}
	if text := o.markdown(); !strings.Contains(text, "| CPU per packet, new/old | 1.100 | 1.100–1.100 | 15 | worse |") {
		t.Error(text)
	}
	if v := newComparison("", notWorse, []float64{1, 1, 1, 1, 1, 1, 1.2, 1.2}).verdict(); v != "undecided" {
		t.Error(v)
	}
}

// TestBaselineIsAContestant checks who is chosen, from which folder.
func TestBaselineIsAContestant(t *testing.T) {
	c := compareCmd{Baseline: t.TempDir()}
	c.setDefaults()
	if c.Runs != 15 || !slices.Equal(c.Only, []string{"sluice", "baseline"}) {
		t.Errorf("%d rounds of %v", c.Runs, c.Only)
	}
	if _, err := c.choose(); err == nil {
		t.Error("a folder without a server was taken")
	}
	if p := baseline("old"); p.folder("new") != "old" || !p.ours {
		t.Errorf("%+v", p)
	}
	if p := sluice(); p.folder("new") != "new" {
		t.Errorf("%+v", p)
	}
	c = compareCmd{Only: []string{"baseline"}}
	if _, err := c.choose(); err == nil {
		t.Error("a baseline without a folder was chosen")
	}
}

// TestOrderAlternates looks at who of two comes first under each load.
func TestOrderAlternates(t *testing.T) {
	const loads, contestants = 4, 2
	first := map[int]int{}
	for round := range 8 {
		seen, loadSeen := map[int]bool{}, map[int]bool{}
		for k := range loads * contestants {
			at := latencyTurn(k, round, loads, contestants)
			seen[at] = true
			if load := at / contestants; !loadSeen[load] {
				loadSeen[load] = true
				first[at]++
			}
		}
		if len(seen) != loads*contestants {
			t.Errorf("round %d measures %d of %d", round, len(seen), loads*contestants)
		}
	}
	for at := range loads * contestants {
		if first[at] != 4 {
			t.Errorf("%d comes first in %d of 8 rounds", at, first[at])
		}
	}
}
