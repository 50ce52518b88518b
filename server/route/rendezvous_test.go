package route

import (
	"math"
	"strconv"
	"testing"
)

const keys = 400_000

func owners(table *Table) []int {
	chosen := make([]int, keys)
	key := make([]byte, 0, 32)
	for i := range chosen {
		key = strconv.AppendInt(append(key[:0], "agent-"...), int64(i), 10)
		chosen[i] = table.Rendezvous(key)
	}
	return chosen
}

func TestRendezvousShares(t *testing.T) {
	for _, weights := range [][]float64{{40, 30, 20, 10}, {1, 1, 1}, {5, 0, 3}, {1}} {
		table := mustTable(t, weights...)
		counts := make([]int, len(weights))
		for _, i := range owners(table) {
			counts[i]++
		}
		for i, c := range counts {
			want := table.Weight(i) * keys
			if math.Abs(float64(c)-want) > 0.01*keys {
				t.Errorf("weights %v: target %d has %d keys of %d, want %.0f", weights, i, c, keys, want)
			}
		}
	}
}

func TestRendezvousMovesOnlyWhatItMust(t *testing.T) {
	before := owners(mustTable(t, 40, 30, 20, 10))
	for _, tc := range []struct {
		name    string
		weights []float64
		changed int
		gains   bool
	}{
		{"lowered", []float64{40, 30, 5, 10}, 2, false},
		{"raised", []float64{40, 30, 60, 10}, 2, true},
		{"down", []float64{0, 30, 20, 10}, 0, false},
		{"joined", []float64{40, 30, 20, 10, 25}, 4, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			moved := 0
			for k, now := range owners(mustTable(t, tc.weights...)) {
				was := before[k]
				if was == now {
					continue
				}
				moved++
				if tc.gains && now != tc.changed || !tc.gains && was != tc.changed {
					t.Fatalf("key %d moved from %d to %d although only %d changed", k, was, now, tc.changed)
				}
			}
			if moved == 0 {
				t.Error("nothing moved")
			}
		})
	}
}

func TestRendezvousTellsKeysApart(t *testing.T) {
	table := mustTable(t, 1, 1, 1, 1, 1, 1, 1, 1)
	// Keys that differ in length, in zero bytes or in one bit must not be one key.
	seen := map[uint64]string{}
	for _, key := range []string{"", "\x00", "\x00\x00", "a", "a\x00", "12345678", "12345678\x00", "123456789", "1234567890123456"} {
		h := hash([]byte(key))
		if other, ok := seen[h]; ok {
			t.Errorf("%q and %q have one hash", key, other)
		}
		seen[h] = key
		if first, again := table.Rendezvous([]byte(key)), table.Rendezvous([]byte(key)); first != again {
			t.Errorf("%q is not sticky", key)
		}
	}
}
