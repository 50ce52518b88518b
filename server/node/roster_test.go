package node

import (
	"slices"
	"testing"

	"sluice/server/config"
)

func TestPlan(t *testing.T) {
	at := func(name, addr string, weight float64) config.Analyzer {
		return config.Analyzer{Name: name, Addr: addr, Weight: weight}
	}
	all, nobody := func(int) bool { return true }, func(int) bool { return false }
	r := newRoster([]config.Analyzer{at("a", "1", 1), at("b", "2", 1), at("c", "3", 1)})
	step := func(what string, free func(int) bool, want []slot, reassigned []int, analyzers ...config.Analyzer) change {
		t.Helper()
		c, err := r.plan(analyzers, free)
		if err != nil {
			t.Fatal(what, err)
		}
		if !slices.Equal([]slot(c.roster), want) || !slices.Equal(c.reassigned, reassigned) {
			t.Errorf("%s: %+v, reassigned %v", what, c.roster, c.reassigned)
		}
		r = c.roster
		return c
	}
	left := func(a config.Analyzer) slot { return slot{Analyzer: a, left: true} }
	a, b, c, d, e := slot{Analyzer: at("a", "1", 1)}, slot{Analyzer: at("b", "2", 1)}, slot{Analyzer: at("c", "3", 1)}, slot{Analyzer: at("d", "4", 1)}, slot{Analyzer: at("e", "5", 1)}

	step("the same in another order", all, []slot{a, b, c}, nil, c.Analyzer, a.Analyzer, b.Analyzer)
	heavy, moved := slot{Analyzer: at("a", "1", 5)}, slot{Analyzer: at("b", "22", 1)}
	got := step("weight and address", all, []slot{heavy, moved, c}, nil, heavy.Analyzer, moved.Analyzer, c.Analyzer)
	if !slices.Equal(got.weighed, []string{"a"}) || !slices.Equal(got.moved, []string{"b"}) {
		t.Errorf("weights %v, moved %v", got.weighed, got.moved)
	}
	got = step("one leaves and one comes: its place is not free yet", all, []slot{heavy, left(moved.Analyzer), c, d}, nil, heavy.Analyzer, c.Analyzer, d.Analyzer)
	if !slices.Equal(got.removed, []string{"b"}) || !slices.Equal(got.added, []string{"d"}) {
		t.Errorf("removed %v, added %v", got.removed, got.added)
	}
	step("its links still stand", nobody, []slot{heavy, left(moved.Analyzer), c, d, e}, nil, heavy.Analyzer, c.Analyzer, d.Analyzer, e.Analyzer)
	step("back in its place", nobody, []slot{heavy, moved, c, d, left(e.Analyzer)}, nil, heavy.Analyzer, moved.Analyzer, c.Analyzer, d.Analyzer)
	f := slot{Analyzer: at("f", "6", 1)}
	step("a place is given on", all, []slot{heavy, moved, c, d, f}, []int{4}, heavy.Analyzer, moved.Analyzer, c.Analyzer, d.Analyzer, f.Analyzer)
}

func TestPlanIsBounded(t *testing.T) {
	full := make([]config.Analyzer, config.MaxAnalyzers)
	for i := range full {
		full[i] = config.Analyzer{Name: string(rune('a'+i%26)) + string(rune('0'+i/26)), Weight: 1}
	}
	r := newRoster(full)
	next := append(slices.Clone(full[1:]), config.Analyzer{Name: "new"})
	if _, err := r.plan(next, func(int) bool { return true }); err == nil {
		t.Error("one more than there are places, and the place that leaves is not free yet")
	}
	c, err := r.plan(full[1:], func(int) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.roster.plan(next, func(int) bool { return true }); err != nil || !slices.Equal(c.reassigned, []int{0}) {
		t.Errorf("reassigned %v, %v", c.reassigned, err)
	}
}
