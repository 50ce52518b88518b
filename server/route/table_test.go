package route

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func mustTable(t interface {
	Helper()
	Fatal(...any)
}, weights ...float64) *Table {
	t.Helper()
	table, err := NewTable(weights)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// worstDrift is the largest distance, over all prefixes of n picks, between an
// analyzer's count and its share.
func worstDrift(table *Table, n int) float64 {
	counts := make([]int, table.Len())
	worst := 0.0
	for k := range n {
		counts[table.Pick(Point(uint64(k)))]++
		for i, c := range counts {
			worst = max(worst, math.Abs(float64(c)-table.Weight(i)*float64(k+1)))
		}
	}
	return worst
}

func TestSplitIsExactAtEveryPrefix(t *testing.T) {
	for _, tc := range []struct {
		name    string
		weights []float64
		limit   float64
	}{
		{"the four of the demo", []float64{40, 30, 20, 10}, 6},
		{"reversed", []float64{10, 20, 30, 40}, 6},
		{"equal", []float64{1, 1, 1, 1}, 6},
		{"one down", []float64{40, 0, 20, 10}, 6},
		{"two", []float64{2, 1}, 6},
		{"one", []float64{7}, 1e-9},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := worstDrift(mustTable(t, tc.weights...), 200_000); got > tc.limit {
				t.Errorf("an analyzer was %.2f packets off its weight, limit %v", got, tc.limit)
			} else {
				t.Logf("worst distance over 200,000 prefixes: %.2f packets", got)
			}
		})
	}
}

func TestSplitOfRandomWeights(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := drawWeights(rt)
		table := mustTable(rt, weights...)
		if got := worstDrift(table, 5_000); got > 6 {
			rt.Fatalf("weights %v: %.2f packets off", weights, got)
		}
	})
}

func drawWeights(rt *rapid.T) []float64 {
	weights := rapid.SliceOfN(rapid.OneOf(
		rapid.Just(0.0), rapid.Float64Range(0, 100), rapid.Map(rapid.IntRange(0, 50), func(n int) float64 { return float64(n) }),
	), 1, 32).Draw(rt, "weights")
	weights[rapid.IntRange(0, len(weights)-1).Draw(rt, "positive")] = 1
	return weights
}

func TestZeroWeightIsNeverPicked(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := drawWeights(rt)
		table := mustTable(rt, weights...)
		points := rapid.SliceOfN(rapid.Uint64(), 50, 50).Draw(rt, "points")
		// Boundaries and the edges of columns are where a mistake would show.
		for i, c := range table.columns {
			edge := uint64(i) * (1 << 63 / uint64(len(table.columns)) * 2)
			points = append(points, edge-1, edge, edge+1, c.threshold-1, c.threshold)
		}
		for _, u := range points {
			if i := table.Pick(u); weights[i] == 0 {
				rt.Fatalf("weights %v: point %#x picked %d, which has weight 0", weights, u, i)
			}
		}
		if i := table.Rendezvous(rapid.SliceOf(rapid.Byte()).Draw(rt, "key")); weights[i] == 0 {
			rt.Fatalf("weights %v: rendezvous picked %d, which has weight 0", weights, i)
		}
	})
}

// Each target has one interval, and its length is its share: to the last unit
// the columns say what the widths say.
func TestColumnsHoldTheIntervals(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := drawWeights(rt)
		table := mustTable(rt, weights...)
		at, last := 0.0, -1
		for i := range weights {
			share := table.Weight(i)
			if share < 0x1p-52 { // too little to be told in the sum of floats
				continue
			}
			if i < last {
				rt.Fatalf("weights %v: intervals out of order", weights)
			}
			begin, end := uint64(at*0x1p64), uint64(math.MaxUint64)
			if at+share < 1 {
				end = uint64((at + share) * 0x1p64)
			}
			slack := uint64(1 << 14) // shares are rounded to 53 bits, the intervals are not
			if end-begin > 2*slack {
				for _, u := range []uint64{begin + slack, begin/2 + end/2, end - slack} {
					if got := table.Pick(u); got != i {
						rt.Fatalf("weights %v: point %#x is of %d, want %d", weights, u, got, i)
					}
				}
			}
			at, last = at+share, i
		}
		if math.Abs(at-1) > 1e-12 {
			rt.Fatalf("weights %v: the shares sum to %v", weights, at)
		}
	})
}

// Columns in which many boundaries meet: one analyzer with nearly everything.
func TestCrowdedColumns(t *testing.T) {
	for _, at := range []int{0, 500, MaxTargets - 1} {
		weights := make([]float64, MaxTargets)
		for i := range weights {
			weights[i] = 1
		}
		weights[at] = 1e6
		table := mustTable(t, weights...)
		if len(table.crowded) == 0 {
			t.Fatal("no column is crowded")
		}
		begin := uint64(0)
		for i := range weights {
			end := begin + uint64(table.Weight(i)*0x1p64)
			for _, u := range []uint64{begin + 1<<13, end - 1<<13} {
				if got := table.Pick(u); got != i {
					t.Fatalf("point %#x is of %d, want %d", u, got, i)
				}
			}
			begin = end
		}
	}
}

func TestThirtyTwoAndTheLimit(t *testing.T) {
	weights := make([]float64, 32)
	for i := range weights {
		weights[i] = float64(i + 1)
	}
	if got := worstDrift(mustTable(t, weights...), 200_000); got > 6 {
		t.Errorf("32 analyzers: %.2f packets off", got)
	}
	if _, err := NewTable(make([]float64, MaxTargets)); err != nil {
		t.Errorf("%d weights: %v", MaxTargets, err)
	}
	var bad *WeightError
	if _, err := NewTable(make([]float64, MaxTargets+1)); !errors.As(err, &bad) || bad.Index != -1 {
		t.Errorf("%d weights: %v", MaxTargets+1, err)
	}
}

func TestUnusableWeights(t *testing.T) {
	for _, w := range []float64{-1, math.NaN(), math.Inf(1), math.Inf(-1)} {
		var bad *WeightError
		if _, err := NewTable([]float64{1, w}); !errors.As(err, &bad) || bad.Index != 1 {
			t.Errorf("weight %v: %v", w, err)
		}
	}
	for _, weights := range [][]float64{nil, {0}, {0, 0, 0}} {
		table := mustTable(t, weights...)
		if !table.Empty() || table.Len() != len(weights) || table.Pick(42) != -1 || table.Rendezvous([]byte("a")) != -1 {
			t.Errorf("weights %v: want an empty table", weights)
		}
	}
}

func TestExtremeWeights(t *testing.T) {
	huge := mustTable(t, math.MaxFloat64, math.MaxFloat64, 0, math.SmallestNonzeroFloat64)
	if got := worstDrift(huge, 10_000); got > 6 {
		t.Errorf("%.2f packets off", got)
	}
	tiny := mustTable(t, math.SmallestNonzeroFloat64, math.SmallestNonzeroFloat64)
	if got := worstDrift(tiny, 10_000); got > 6 {
		t.Errorf("%.2f packets off", got)
	}
	if i := tiny.Rendezvous([]byte("key")); i < 0 {
		t.Error("tiny weights were picked by nobody")
	}
}

func TestPicksDoNotAllocate(t *testing.T) {
	table := mustTable(t, 40, 30, 20, 10)
	var seq Sequence
	key := []byte("agent-17")
	hands, touched := make([]uint32, 4), make([]int32, 0, 4)
	if n := testing.AllocsPerRun(1000, func() {
		first := seq.Reserve(4)
		for k := first; k < first+4; k++ {
			table.Pick(Point(k))
		}
		touched = table.Deal(seq.Reserve(100), 100, hands, touched[:0])
		clear(hands)
		table.Rendezvous(key)
	}); n != 0 {
		t.Errorf("%v allocations per turn", n)
	}
}

func BenchmarkPick(b *testing.B) {
	table := mustTable(b, 40, 30, 20, 10)
	sum := 0
	for k := 0; b.Loop(); k++ {
		sum += table.Pick(Point(uint64(k)))
	}
	_ = sum
}

// Deal is nothing but picks, counted.
func TestDealIsManyPicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float64Range(0, 100), 1, 40).Draw(t, "weights")
		weights[0]++
		table := mustTable(t, weights...)
		first := rapid.Uint64().Draw(t, "first")
		n := rapid.IntRange(0, 2000).Draw(t, "n")
		want := make([]uint32, len(weights))
		var order []int32
		for k := range uint64(n) {
			i := table.Pick(Point(first + k))
			if want[i]++; want[i] == 1 {
				order = append(order, int32(i))
			}
		}
		hands := make([]uint32, len(weights))
		touched := table.Deal(first, n, hands, nil)
		if !slices.Equal(hands, want) || !slices.Equal(touched, order) {
			t.Fatalf("Deal(%d, %d) = %v, %v; picks say %v, %v", first, n, hands, touched, want, order)
		}
	})
}

func BenchmarkDeal(b *testing.B) {
	table := mustTable(b, 40, 30, 20, 10)
	hands := make([]uint32, 4)
	var touched []int32
	for k := 0; b.Loop(); k += 700 {
		clear(hands)
		touched = table.Deal(uint64(k), 700, hands, touched[:0])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/700, "ns/packet")
}

func BenchmarkPickOf(b *testing.B) {
	for _, n := range []int{100, MaxTargets} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			table := mustTable(b, zipf(n)...)
			sum := 0
			for k := 0; b.Loop(); k++ {
				sum += table.Pick(Point(uint64(k)))
			}
			_ = sum
		})
	}
}

func BenchmarkNewTable(b *testing.B) {
	for _, n := range []int{4, 100, MaxTargets} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			weights := zipf(n)
			for b.Loop() {
				mustTable(b, weights...)
			}
		})
	}
}
