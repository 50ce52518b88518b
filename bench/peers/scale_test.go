package main

import (
	"testing"

	"sluice/bench/cost"
)

// TestScaleStrideVisitsEveryPoint holds the stride against the grid.
func TestScaleStrideVisitsEveryPoint(t *testing.T) {
	n := len(cost.Grid())
	seen := map[int]bool{}
	for k := range n {
		seen[k*scaleStride%n] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d points are visited", len(seen), n)
	}
}
