package route

import "sync/atomic"

// golden is 2^64 divided by the golden ratio, rounded to an odd number.
const golden = 0x9E3779B97F4A7C15

// Sequence numbers the first dispatches of all loops. Its points are not
// random but spread as evenly as points can be (the additive recurrence with
// the golden ratio, whose three-gap property is the best of all steps): after
// any n picks each analyzer is within a handful of packets of its weight,
// where random picks would be off by √n.
//
// There is one Sequence for all loops, because every further one adds its own
// handful. A loop reserves a whole read's packets with one atomic addition, so
// that sharing costs nothing that could be measured per packet. Which loop
// uses a number does not matter, only that every reserved number is used once.
//
// The zero value is ready. It must not be copied. Safe for concurrent use.
type Sequence struct {
	_    [64]byte // a cache line of its own on either side: it is written every turn by every core
	next atomic.Uint64
	_    [56]byte
}

// Reserve takes the next n numbers and gives the first of them.
func (s *Sequence) Reserve(n uint64) (first uint64) {
	return s.next.Add(n) - n
}

// Reserved is how many numbers have been taken so far.
func (s *Sequence) Reserved() uint64 { return s.next.Load() }

// Point is the point of number k, for Table.Pick.
func Point(k uint64) uint64 { return k * golden }
