package protocol_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"sluice/protocol"
)

// The model is the obvious way: a set of numbers.
func TestAckSequenceModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s protocol.AckSequence
		settled := map[uint64]bool{}
		upTo := uint64(0)
		settle := func(t *rapid.T, n uint64) {
			want := n > upTo && n-upTo <= protocol.MaxCreditSpan && !settled[n]
			if got := s.Settle(n); got != want {
				t.Fatalf("Settle(%d) = %v with UpTo %d", n, got, upTo)
			}
			if want {
				settled[n] = true
				for settled[upTo+1] {
					upTo++
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"near": func(t *rapid.T) { settle(t, upTo+rapid.Uint64Range(1, 200).Draw(t, "ahead")) },
			"far":  func(t *rapid.T) { settle(t, upTo+rapid.Uint64Range(1, protocol.MaxCreditSpan+2).Draw(t, "ahead")) },
			"next": func(t *rapid.T) { settle(t, upTo+1) },
			"any":  func(t *rapid.T) { settle(t, rapid.Uint64().Draw(t, "n")) },
			"run": func(t *rapid.T) {
				first := rapid.OneOf(rapid.Uint64Range(0, upTo+300),
					rapid.Uint64Range(upTo+1, upTo+protocol.MaxCreditSpan+2), rapid.Uint64()).Draw(t, "first")
				count := rapid.OneOf(rapid.Uint64Range(0, 3000), rapid.Uint64Range(0, 2*protocol.MaxCreditSpan)).Draw(t, "count")
				base, want := upTo, uint64(0)
				for n := first; n-first < count && n >= first; n++ {
					if n > base+protocol.MaxCreditSpan {
						break
					}
					if n > base && !settled[n] {
						settled[n] = true
						want++
					}
				}
				for settled[upTo+1] {
					upTo++
				}
				if got := s.SettleRun(first, count); got != want {
					t.Fatalf("SettleRun(%d, %d) = %d with UpTo %d; want %d", first, count, got, base, want)
				}
			},
			"burst": func(t *rapid.T) {
				from := upTo + rapid.Uint64Range(1, 300).Draw(t, "from")
				for i := range rapid.Uint64Range(0, 2000).Draw(t, "len") {
					settle(t, from+i)
				}
			},
			"": func(t *rapid.T) {
				if s.UpTo() != upTo || s.Settled() != uint64(len(settled)) {
					t.Fatalf("UpTo %d, Settled %d; want %d, %d", s.UpTo(), s.Settled(), upTo, len(settled))
				}
			},
		})
	})
}

func TestAckSequenceEdges(t *testing.T) {
	var s protocol.AckSequence
	for _, n := range []uint64{0, protocol.MaxCreditSpan + 1, math.MaxUint64} {
		if s.Settle(n) {
			t.Errorf("Settle(%d) on a new sequence", n)
		}
	}
	// The whole span, backwards: nothing moves until the first one comes.
	for n := uint64(protocol.MaxCreditSpan); n > 1; n-- {
		if !s.Settle(n) || s.UpTo() != 0 {
			t.Fatalf("Settle(%d): UpTo %d", n, s.UpTo())
		}
	}
	if !s.Settle(1) || s.UpTo() != protocol.MaxCreditSpan || s.Settled() != protocol.MaxCreditSpan {
		t.Fatalf("UpTo %d, Settled %d", s.UpTo(), s.Settled())
	}
	// The ring is clean: a second round works the same.
	for n := uint64(2 * protocol.MaxCreditSpan); n > protocol.MaxCreditSpan; n-- {
		if !s.Settle(n) {
			t.Fatalf("Settle(%d) in the second round", n)
		}
	}
	if s.UpTo() != 2*protocol.MaxCreditSpan {
		t.Fatalf("UpTo %d", s.UpTo())
	}
}

func TestAckSequenceAllocatesNothingOnceGrown(t *testing.T) {
	var s protocol.AckSequence
	s.Settle(protocol.MaxCreditSpan)
	for n := uint64(1); n < protocol.MaxCreditSpan; n++ {
		s.Settle(n)
	}
	if n := testing.AllocsPerRun(100, func() {
		base := s.UpTo()
		for n := base + 2; n <= base+1000; n++ {
			s.Settle(n)
		}
		s.Settle(base + 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
