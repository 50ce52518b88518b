package bench

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"sluice/protocol"
	"sluice/server/route"
)

// frameSize is that of a small packet. Picks and settlements touch no byte of
// it; their MB/s tell what traffic they would keep up with.
const frameSize = protocol.HeaderSize + 200

func table(b *testing.B, weights []float64) *route.Table {
	b.Helper()
	t, err := route.NewTable(weights)
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// manyWeights are 100 uneven ones.
func manyWeights() []float64 {
	w := make([]float64, 100)
	for i := range w {
		w[i] = float64(1 + i%7)
	}
	return w
}

// BenchmarkPick is the choice of an analyzer by weight, and the split is exact.
func BenchmarkPick(b *testing.B) {
	for _, w := range [][]float64{weights[:], manyWeights()} {
		b.Run(fmt.Sprintf("analyzers=%d", len(w)), func(b *testing.B) {
			t := table(b, w)
			var sequence route.Sequence
			counts := make([]uint64, len(w))
			var next, left uint64
			b.SetBytes(frameSize)
			b.ReportAllocs()
			for b.Loop() {
				if left == 0 { // as a loop does: once for all packets of a turn
					left = turnPackets
					next = sequence.Reserve(left)
				}
				counts[t.Pick(route.Point(next))]++
				next++
				left--
			}
			wantShares(b, t, counts, func(float64) float64 { return 10 })
		})
	}
}

// BenchmarkRendezvous is the choice with affinity: by key.
func BenchmarkRendezvous(b *testing.B) {
	for _, w := range [][]float64{weights[:], manyWeights()} {
		b.Run(fmt.Sprintf("analyzers=%d", len(w)), func(b *testing.B) {
			t := table(b, w)
			counts := make([]uint64, len(w))
			key := []byte("agent-00000000")
			var n uint64
			b.SetBytes(frameSize)
			b.ReportAllocs()
			for b.Loop() {
				n++
				binary.BigEndian.PutUint64(key[6:], n)
				counts[t.Rendezvous(key)]++
			}
			// Six standard deviations of a random choice, which a hash is.
			wantShares(b, t, counts, func(want float64) float64 { return 10 + 6*math.Sqrt(want) })
		})
	}
}

func wantShares(b *testing.B, t *route.Table, counts []uint64, off func(want float64) float64) {
	b.Helper()
	var total uint64
	for _, n := range counts {
		total += n
	}
	if total != uint64(b.N) {
		b.Fatalf("%d picks in %d ops", total, b.N)
	}
	for i, n := range counts {
		want := t.Weight(i) * float64(total)
		if math.Abs(float64(n)-want) > off(want) {
			b.Errorf("analyzer %d was picked %d times of %d, its weight says %.0f", i, n, total, want)
		}
	}
}

// BenchmarkAckSequence is the settlement of one frame of an agent: in order,
// and as four analyzers answer, each for its own share and in batches.
func BenchmarkAckSequence(b *testing.B) {
	for _, c := range []struct {
		name  string
		order []uint64
	}{{"in-order", inOrder()}, {"interleaved", interleaved(b)}} {
		b.Run(c.name, func(b *testing.B) {
			var s protocol.AckSequence
			var base, settled uint64
			i := 0
			b.SetBytes(frameSize)
			b.ReportAllocs()
			for b.Loop() {
				if s.Settle(base + c.order[i]) {
					settled++
				}
				if i++; i == len(c.order) {
					i, base = 0, base+uint64(i)
				}
			}
			if settled != uint64(b.N) || s.Settled() != settled {
				b.Fatalf("%d of %d were settled", settled, b.N)
			}
			for ; i > 0 && i < len(c.order); i++ { // the window that was begun
				s.Settle(base + c.order[i])
			}
			if s.UpTo() != s.Settled() || s.UpTo()%uint64(len(c.order)) != 0 {
				b.Fatalf("settled %d, without a gap up to %d", s.Settled(), s.UpTo())
			}
		})
	}
}

func inOrder() []uint64 {
	order := make([]uint64, protocol.FirstCreditFrames)
	for i := range order {
		order[i] = uint64(i + 1)
	}
	return order
}

// interleaved deals a window to four links by weight, and lets them
// acknowledge up to 64 frames each in turn.
func interleaved(b *testing.B) []uint64 {
	b.Helper()
	t := table(b, weights[:])
	links := make([][]uint64, len(weights))
	for n := uint64(1); n <= protocol.FirstCreditFrames; n++ {
		at := t.Pick(route.Point(n))
		links[at] = append(links[at], n)
	}
	var order []uint64
	for i := 0; len(order) < protocol.FirstCreditFrames; i++ {
		l := &links[(len(links)-1)-i%len(links)]
		k := min(64, len(*l))
		order, *l = append(order, (*l)[:k]...), (*l)[k:]
	}
	return order
}
