package protocol

import "math/bits"

// AckSequence is the receiver's side of the acknowledgement of one connection:
// frames settle in any order, and an ACK names the largest number up to which
// all are settled. The zero value is ready. Owned by whoever owns the
// connection; not safe for concurrent use.
//
// The obvious way, a set of the settled numbers that are out of order, costs a
// hash and an allocation per frame. Here a bit per number stands in a ring of
// words, as in Pebble's ackseq: bit (n-1) modulo the ring's size. Only numbers
// above upTo have their bit set, which gives three cheap roads: in order with
// nothing ahead touches no bitmap at all; out of order sets one bit; and
// closing the gap walks the ring by words.
type AckSequence struct {
	upTo  uint64   // all numbers up to here are settled
	ahead uint64   // settled numbers above upTo, which is the number of set bits
	ring  []uint64 // a power of two of words, at most MaxCreditSpan bits
}

// firstWords is the first size of the ring: 1,024 numbers in 128 bytes.
const firstWords = 16

// UpTo returns the largest n such that all of 1 … n are settled.
func (s *AckSequence) UpTo() uint64 { return s.upTo }

// Settled returns how many numbers are settled, in whatever order.
func (s *AckSequence) Settled() uint64 { return s.upTo + s.ahead }

// Settle marks number n as settled and returns true if it was not before. A
// number that is 0, settled already, or more than [MaxCreditSpan] above UpTo
// changes nothing and returns false.
func (s *AckSequence) Settle(n uint64) bool { return s.SettleRun(n, 1) == 1 }

// SettleRun marks the count numbers from first on as settled and returns how many
// were not before. Of those that cannot be (see [AckSequence.Settle]) none is
// marked. The bits of a run are set by words, too.
func (s *AckSequence) SettleRun(first, count uint64) (settled uint64) {
	if first == s.upTo+1 && s.ahead == 0 && count <= MaxCreditSpan {
		s.upTo += count
		return count
	}
	return s.settleAhead(first, count)
}

func (s *AckSequence) settleAhead(first, count uint64) (settled uint64) {
	lowest, highest := s.upTo+1, s.upTo+MaxCreditSpan
	if first > highest {
		return 0
	}
	end := highest + 1
	if count < end-first {
		end = first + count
	}
	if first = max(first, lowest); first >= end {
		return 0
	}
	if end-1-s.upTo > uint64(len(s.ring))*64 {
		s.grow(end - 1 - s.upTo)
	}
	for bit := first - 1; bit < end-1; {
		off := bit & 63
		n := min(64-off, end-1-bit)
		mask := (^uint64(0) >> (64 - n)) << off
		word := &s.ring[bit>>6&uint64(len(s.ring)-1)]
		settled += uint64(bits.OnesCount64(mask &^ *word))
		*word |= mask
		bit += n
	}
	s.ahead += settled
	if first == lowest {
		s.advance()
	}
	return settled
}

// advance moves upTo over the run of set bits that begins there, clearing them:
// their places are those of numbers one ring further on.
func (s *AckSequence) advance() {
	for s.ahead > 0 {
		off := s.upTo & 63
		word := &s.ring[s.upTo>>6&uint64(len(s.ring)-1)]
		run := uint64(bits.TrailingZeros64(^(*word >> off)))
		if run == 0 {
			return
		}
		*word &^= (1<<run - 1) << off // a shift by 64 gives 0, so a run of 64 clears all
		s.upTo += run
		s.ahead -= run
		if off+run < 64 {
			return
		}
	}
}

// grow enlarges the ring so that span numbers above upTo have distinct bits,
// and moves the set bits to their new places. A connection grows at most seven
// times in its life.
func (s *AckSequence) grow(span uint64) {
	words := max(firstWords, len(s.ring))
	for uint64(words)*64 < span {
		words *= 2
	}
	ring := make([]uint64, words)
	old := uint64(len(s.ring)) * 64
	for i, w := range s.ring {
		for ; w != 0; w &= w - 1 {
			place := uint64(i)*64 + uint64(bits.TrailingZeros64(w))
			bit := s.upTo + (place-s.upTo)&(old-1)
			ring[bit>>6&uint64(words-1)] |= 1 << (bit & 63)
		}
	}
	s.ring = ring
}
