package route

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

// Eight loops that take blocks of random size leave the same exact split as
// one that takes them singly: every reserved number is used exactly once.
func TestManyReserversKeepTheSplit(t *testing.T) {
	table := mustTable(t, 40, 30, 20, 10)
	var seq Sequence
	var mu sync.Mutex
	var all [4]int
	var wg sync.WaitGroup
	for loop := range uint64(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(loop, 1))
			var counts [4]int
			for range 2_000 {
				n := 1 + rng.Uint64N(60)
				first := seq.Reserve(n)
				for k := first; k < first+n; k++ {
					counts[table.Pick(Point(k))]++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for i, c := range counts {
				all[i] += c
			}
		})
	}
	wg.Wait()
	total := 0
	for _, c := range all {
		total += c
	}
	if uint64(total) != seq.Reserved() {
		t.Fatalf("%d picks of %d reserved numbers", total, seq.Reserved())
	}
	for i, c := range all {
		if off := math.Abs(float64(c) - table.Weight(i)*float64(total)); off > 6 {
			t.Errorf("target %d is %.2f packets off after %d", i, off, total)
		}
	}
}

// Swapping the table for another goes on with the sequence: what is picked
// from any number on is as exact as from the first.
func TestSplitFromAnyStart(t *testing.T) {
	table := mustTable(t, 40, 30, 20, 10)
	for _, start := range []uint64{1, 12345, 1 << 40, math.MaxUint64 - 10_000} {
		var counts [4]int
		for k := range 50_000 {
			counts[table.Pick(Point(start+uint64(k)))]++
			for i, c := range counts {
				if off := math.Abs(float64(c) - table.Weight(i)*float64(k+1)); off > 12 {
					t.Fatalf("from %d: target %d is %.2f packets off after %d", start, i, off, k+1)
				}
			}
		}
	}
}
