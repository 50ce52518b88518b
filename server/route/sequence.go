package route

import "sync/atomic"

// step is what the point moves by from one number to the next, in 2^-64ths of
// the whole. It is near 2^64 divided by the golden ratio, and chosen so that
// all 2^64 points are spread nearly as well as those of the ratio itself: the
// continued fraction of step/2^64 begins with 32 ones (up to the denominator
// 3,524,578), and none of its quotients is above 4.
//
// 0x9E3779B97F4A7C15, the usual constant, is the odd number nearest to that
// quotient, but has a quotient of 121 behind the denominator 2,971,215,073.
// After so many packets its points nearly repeat, and an analyzer would drift
// up to 32 packets from its weight within a day or two at full load.
const step = 0x9E3779B97F44E1CB

// Sequence numbers the first dispatches of all loops. Its points are not
// random but spread as evenly as points can be: number k has the point
// k × step, an additive recurrence with the golden ratio.
//
// What theory says of an analyzer that owns one interval, as in a Table:
//   - The points of any n consecutive numbers leave gaps of at most three
//     lengths (V. T. Sós, "On the distribution mod 1 of the sequence nα", 1958).
//     From the continued fraction follows how long they can be: an analyzer
//     with the share s waits at most 2/s packets for its next one if s is above
//     1/3,500,000, and 2.5/s whatever its share.
//   - The count of an interval is off by about the sum of the quotients up to
//     n at most, which are ones here: by a multiple of log n. For intervals that
//     begin at 0, and the golden ratio, the largest error grows by 0.31 for each
//     factor of e (0.15/ln φ; L. Ramshaw, "On the discrepancy of the sequence
//     formed by the multiples of an irrational number", 1981). Any other
//     interval is the difference of two of these.
//   - It stays below a constant for ever only for intervals whose length is a
//     multiple of the ratio modulo 1 (H. Kesten, "On a conjecture of Erdős and
//     Szüsz related to uniform distribution mod 1", 1966). Weights are what the
//     user says; so the logarithm cannot be had for less.
//   - To begin later only turns all intervals by an angle. So what holds for
//     every interval holds from any start: after a change of tables the count
//     begins anew, with the same bound.
//
// There is one Sequence for all loops, because every further one adds its own
// few packets. A loop reserves a whole read's packets with one atomic addition,
// so that sharing costs nothing that could be measured per packet. Which loop
// uses a number does not matter, only that every reserved number is used once.
// Numbers that are reserved and not yet used leave a hole of consecutive
// numbers, which is one more start: with L loops at work the count is off by at
// most L times as much, and exact again as soon as they have caught up.
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
func Point(k uint64) uint64 { return k * step }
