package route

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// prefixes is how many picks the deviation is followed for.
const prefixes = 1_000_000

// deviation is how far a split was from its weights at the worst moment.
type deviation struct {
	packets float64 // largest |count - share × n| of any analyzer
	gap     float64 // longest wait of any analyzer for its next packet, × its share
}

func (d *deviation) add(o deviation) {
	d.packets, d.gap = max(d.packets, o.packets), max(d.gap, o.gap)
}

// follow measures n picks from number first on. Between its picks an analyzer
// falls behind steadily, so it is enough to look before and after each.
func follow(table *Table, first uint64, n int) (worst deviation) {
	counts := make([]float64, table.Len())
	last := make([]int, table.Len())
	shares := table.shares
	note := func(i, k int) { worst.packets = max(worst.packets, math.Abs(counts[i]-shares[i]*float64(k))) }
	for k := range n {
		i := table.Pick(Point(first + uint64(k)))
		note(i, k)
		counts[i]++
		note(i, k+1)
		worst.gap = max(worst.gap, float64(k+1-last[i])*shares[i])
		last[i] = k + 1
	}
	for i := range counts {
		note(i, n)
		worst.gap = max(worst.gap, float64(n-last[i])*shares[i])
	}
	return worst
}

// families of weights, by what they are called in the table of results.
var families = []struct {
	name    string
	weights func(n int) []float64
}{
	{"equal", equal},
	{"one half", func(n int) []float64 { w := equal(n); w[n/2] = float64(n - 1); return w }},
	{"Zipf", zipf},
	{"Fibonacci", fibonacci},
	{"random", func(n int) []float64 {
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		w := make([]float64, n)
		for i := range w {
			w[i] = rng.Float64()
		}
		return w
	}},
	{"a million to one", func(n int) []float64 { w := equal(n); w[n-1] = 1e6; return w }},
	{"every other 0", func(n int) []float64 {
		w := equal(n)
		for i := 1; i < n; i += 2 {
			w[i] = 0
		}
		return w
	}},
}

func equal(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1
	}
	return w
}

func zipf(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1 / float64(i+1)
	}
	return w
}

// fibonacci repeats the first 16 numbers, so that none is too small to matter.
func fibonacci(n int) []float64 {
	w := make([]float64, n)
	a, b := 1.0, 1.0
	for i := range w {
		if i%16 == 0 {
			a, b = 1, 1
		}
		w[i], a, b = a, b, a+b
	}
	return w
}

func long() bool { return os.Getenv("SLUICE_LONG") != "" }

// analyzerCounts are those to look at: all of them in the long form. The
// Fibonacci numbers and their neighbours are where other tables resonate.
func analyzerCounts() (all []int) {
	if long() {
		for n := 2; n <= MaxTargets; n++ {
			all = append(all, n)
		}
		return all
	}
	return []int{2, 3, 4, 5, 8, 10, 13, 21, 32, 33, 34, 55, 64, 89, 100, 144, 233, 377, 512, 610, 987, 1000, 1023, 1024}
}

// The deviation is at most 6 packets over the first million picks of a
// sequence, and 10 from any start; nobody waits longer than 2/share.
//
// The table of docs/ARCHITECTURE.md is what this prints in its long form:
//
//	SLUICE_LONG=1 go test ./server/route -run TestDeviation -count 1 -v
func TestDeviation(t *testing.T) {
	if raceEnabled {
		t.Skip("SKIPPED: one goroutine, and the race detector makes it take minutes; make unraced runs it")
	}
	t.Log("| weights | from the start | from any start | longest wait × share |")
	t.Log("|---|--:|--:|--:|")
	for _, family := range families {
		var start, anywhere deviation
		rng := rand.New(rand.NewPCG(1, 1))
		for _, n := range analyzerCounts() {
			table := mustTable(t, family.weights(n)...)
			fromStart := follow(table, 0, prefixes)
			if fromStart.packets > 6 || fromStart.gap > 2 {
				t.Errorf("%s, %d analyzers: %.2f packets off, a wait of %.2f/share", family.name, n, fromStart.packets, fromStart.gap)
			}
			start.add(fromStart)
			first := rng.Uint64()
			later := follow(table, first, prefixes)
			if later.packets > 10 || later.gap > 2 {
				t.Errorf("%s, %d analyzers, from %d: %.2f packets off, a wait of %.2f/share", family.name, n, first, later.packets, later.gap)
			}
			anywhere.add(later)
		}
		t.Logf("| %s | %.2f | %.2f | %.2f |", family.name, start.packets, anywhere.packets, max(start.gap, anywhere.gap))
	}
}

// Many loops reserve blocks and use them late and in any order. While they are
// behind, each leaves a hole in the sequence, which is one more start; when
// they have caught up the split is that of one loop.
func TestDeviationOfManyLoops(t *testing.T) {
	t.Log("| loops | all numbers used | some reserved and not used yet |")
	t.Log("|--:|--:|--:|")
	counts := []int{4, 34, 610}
	if long() {
		counts = []int{2, 3, 4, 8, 21, 34, 89, 100, 377, 610, 1024}
	}
	for loops := 1; loops <= 8; loops++ {
		var settled, behind float64
		for _, family := range families {
			for _, n := range counts {
				s, b := interleave(mustTable(t, family.weights(n)...), loops)
				settled, behind = max(settled, s), max(behind, b)
			}
		}
		t.Logf("| %d | %.2f | %.2f |", loops, settled, behind)
		if settled > 6 || behind > 6+10*float64(loops-1) {
			t.Errorf("%d loops: %.2f packets off when all had caught up, %.2f when not", loops, settled, behind)
		}
	}
}

// interleave deals reads of 1 to 700 packets by loops that take turns at random,
// in two steps as a loop does: reserve, then deal.
func interleave(table *Table, loops int) (settled, behind float64) {
	var seq Sequence
	rng := rand.New(rand.NewPCG(uint64(loops), uint64(table.Len())))
	type block struct {
		first uint64
		n     int
	}
	held := make([]block, loops)
	hands := make([]uint32, table.Len())
	var touched []int32
	var dealt, open int
	for range 3_000 {
		b := &held[rng.IntN(loops)]
		if b.n == 0 {
			b.n = 1 + rng.IntN(700)
			b.first = seq.Reserve(uint64(b.n))
			open++
			continue
		}
		touched = table.Deal(b.first, b.n, hands, touched[:0])
		dealt += b.n
		b.n = 0
		open--
		worst := 0.0
		for i, c := range hands {
			worst = max(worst, math.Abs(float64(c)-table.shares[i]*float64(dealt)))
		}
		if open == 0 {
			settled = max(settled, worst)
		}
		behind = max(behind, worst)
	}
	return settled, behind
}

// What a table does not change is where the sequence stands: each table's
// count begins anew in the middle of it, and is as exact as the first.
func TestDeviationAcrossTables(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	first, worst := uint64(0), 0.0
	for range 200 {
		family := families[rng.IntN(len(families))]
		n := 2 + rng.IntN(100)
		table := mustTable(t, family.weights(n)...)
		picks := 1 + rng.IntN(20_000)
		got := follow(table, first, picks)
		if got.packets > 10 {
			t.Errorf("%s, %d analyzers, from %d: %.2f packets off", family.name, n, first, got.packets)
		}
		worst = max(worst, got.packets)
		first += uint64(picks)
	}
	t.Logf("200 tables: at most %.2f packets off since the last change", worst)
}

// A fixed-point step is a fraction with the denominator 2^64, and a large
// quotient in its continued fraction is a resonance: the points nearly repeat
// after as many numbers as the denominator before it says.
func TestStepHasSmallQuotients(t *testing.T) {
	if all := quotients(0x9E3779B97F4A7C15); slices.Max(all) != 121 {
		t.Errorf("the usual constant has the quotients %v, its largest is known to be 121", all)
	}
	all := quotients(step)
	if slices.Max(all) > 4 {
		t.Errorf("quotients %v: one is above 4", all)
	}
	for i, a := range all[:32] {
		if a != 1 {
			t.Errorf("quotient %d is %d, the golden ratio's is 1", i, a)
		}
	}
}

// quotients is the continued fraction of s/2^64 behind its leading 0.
func quotients(s uint64) (all []int) {
	a, b := new(big.Int).Lsh(big.NewInt(1), 64), new(big.Int).SetUint64(s)
	for b.Sign() > 0 {
		q, r := new(big.Int).QuoRem(a, b, new(big.Int))
		all = append(all, int(q.Int64()))
		a, b = b, r
	}
	return all
}

// The longest gap that n points leave, times n, is what bounds the wait of an
// analyzer. By the three-distance theorem it is largest just before n reaches
// (b+1)·q + q', where q' and q are neighbouring denominators and b is at most
// the quotient between them: there the longest gap is D' - (b-1)·D, D being
// the distance of q·step from a whole number.
func TestNoGapIsLong(t *testing.T) {
	whole := new(big.Float).SetMantExp(big.NewFloat(1), 64)
	q0, q := new(big.Int), big.NewInt(1)
	d0, d := new(big.Int).Lsh(big.NewInt(1), 64), new(big.Int).SetUint64(step)
	for d.Sign() > 0 {
		a, rest := new(big.Int).QuoRem(d0, d, new(big.Int))
		for b := int64(1); b <= a.Int64(); b++ {
			n := new(big.Int).Mul(q, big.NewInt(b+1))
			n.Add(n, q0)
			gap := new(big.Int).Mul(d, big.NewInt(b-1))
			gap.Sub(d0, gap)
			product, _ := new(big.Float).Quo(new(big.Float).SetInt(new(big.Int).Mul(n, gap)), whole).Float64()
			limit := 2.5
			if q.Int64() < 3_500_000 {
				limit = 2
			}
			if product > limit+1e-9 {
				t.Errorf("%v points leave a gap of %.3f/n, limit %v", n, product, limit)
			}
		}
		q0, q = q, new(big.Int).Add(new(big.Int).Mul(a, q), q0)
		d0, d = d, rest
	}
}

// Counts after up to 10^18 numbers, which nobody can pick one by one, are
// sums of ⌊(a·k+b)/2^64⌋: the same that Pick would count.
func TestDeviationFarOut(t *testing.T) {
	tries := 200
	if long() {
		tries = 5_000
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range 20 { // the sum counts what Pick counts
		table := mustTable(t, zipf(2+i)...)
		n := 1 + rng.IntN(3_000)
		counts := make([]uint32, table.Len())
		table.Deal(0, n, counts, nil)
		if got := countBelow(step, uint64(n), table.boundaryOf(1)); got != uint64(counts[0]) {
			t.Fatalf("%d numbers: %d points below the first boundary, Deal says %d", n, got, counts[0])
		}
	}
	for _, magnitude := range []float64{1e6, 1e9, 1e12, 1e15, 1e18} {
		worst, usual := 0.0, 0.0
		for range tries {
			n := uint64(magnitude * (0.1 + 0.9*rng.Float64()))
			low, high := rng.Uint64(), rng.Uint64()
			if low > high {
				low, high = high, low
			}
			worst = max(worst, intervalOff(step, n, low, high))
			usual = max(usual, intervalOff(0x9E3779B97F4A7C15, n, low, high))
		}
		t.Logf("up to %.0e numbers: %.2f packets off; %.2f with the usual constant", magnitude, worst, usual)
		if worst > 10 {
			t.Errorf("up to %.0e numbers: %.2f packets off", magnitude, worst)
		}
	}
}

// boundaryOf is where target i begins.
func (t *Table) boundaryOf(i int) uint64 {
	low, high := uint64(0), uint64(math.MaxUint64)
	for low < high {
		if half := low + (high-low)/2; t.Pick(half) < i {
			low = half + 1
		} else {
			high = half
		}
	}
	return low
}

func intervalOff(s, n, low, high uint64) float64 {
	count := new(big.Int).SetUint64(countBelow(s, n, high) - countBelow(s, n, low))
	count.Lsh(count, 64)
	due := new(big.Int).Mul(new(big.Int).SetUint64(n), new(big.Int).SetUint64(high-low))
	off, _ := new(big.Float).SetInt(count.Sub(count, due)).Float64()
	return math.Abs(off) / 0x1p64
}

// countBelow is how many of the first n points lie below x > 0: a point lies at
// or above x if adding 2^64 - x carries.
func countBelow(s, n, x uint64) uint64 {
	carry := new(big.Int).Sub(floorSum(n, s, -x), floorSum(n, s, 0))
	return n - carry.Uint64()
}

// floorSum is the sum of ⌊(a·k+b)/2^64⌋ for k from 0 to n-1, by Euclid's steps.
func floorSum(count, step, offset uint64) *big.Int {
	sum := new(big.Int)
	n, a, b := new(big.Int).SetUint64(count), new(big.Int).SetUint64(step), new(big.Int).SetUint64(offset)
	m := new(big.Int).Lsh(big.NewInt(1), 64)
	for n.Sign() > 0 {
		q, r := new(big.Int).QuoRem(a, m, new(big.Int))
		pairs := new(big.Int).Mul(n, new(big.Int).Sub(n, big.NewInt(1)))
		sum.Add(sum, q.Mul(q, pairs.Rsh(pairs, 1)))
		a = r
		q, r = new(big.Int).QuoRem(b, m, new(big.Int))
		sum.Add(sum, q.Mul(q, n))
		b = r
		top := new(big.Int).Mul(a, n)
		n, b = new(big.Int).QuoRem(top.Add(top, b), m, new(big.Int))
		m, a = a, m
		if m.Sign() == 0 {
			break
		}
	}
	return sum
}

// Weights that are as far apart as float64 allows, and one analyzer alone.
func TestDeviationOfExtremes(t *testing.T) {
	for _, weights := range [][]float64{
		{1}, {0, 5, 0}, {1e6, 1}, {1, 1e6}, {1, 1e6, 1, 1e6, 1}, {1e300, 1e-300}, {1, 0x1p-64, 1}, {1, 1, 1e-12},
	} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			table := mustTable(t, weights...)
			for _, first := range []uint64{0, 1 << 40, math.MaxUint64 - prefixes/2} {
				if got := follow(table, first, prefixes); got.packets > 6 || got.gap > 2 {
					t.Errorf("from %d: %.2f packets off, a wait of %.2f/share", first, got.packets, got.gap)
				}
			}
		})
	}
}
