package dispatch

import "time"

// Latency is a histogram of acknowledgement times, from the write of a frame to
// the ACK that settles it: four buckets for each doubling from 1 µs, so that a
// quantile is at most 25 % too high. The zero value is empty. Owned by one loop, as
// all counters; copies are plain values.
type Latency struct {
	Buckets [LatencyBuckets]uint64 // frames; see LatencyBound
	Micros  uint64                 // µs, the sum over all frames; nanoseconds would be too many after days
}

// LatencyBuckets is how many buckets there are. The last one also holds what
// took longer than its bound of two minutes.
const LatencyBuckets = 108

// LatencyBound is the time below which everything lies that bucket i and those
// before it count. Every fourth, from the third on, is a power of two of µs.
func LatencyBound(i int) time.Duration {
	return time.Duration((5+uint64(i&3))<<(i/4)) * time.Microsecond / 4
}

// count counts n frames that took d. A run of frames that one write handed over
// and one ACK settled is one call.
func (h *Latency) count(d time.Duration, n uint64) {
	us := uint64(max(d/time.Microsecond, 1))
	exp := 0
	for v := us; v > 1; v >>= 1 {
		exp++
	}
	frac := (us << 2 >> exp) & 3
	h.Buckets[min(exp*4+int(frac), LatencyBuckets-1)] += n
	h.Micros += us * n
}

// Add sums another histogram into h.
func (h *Latency) Add(o *Latency) {
	for i, n := range o.Buckets {
		h.Buckets[i] += n
	}
	h.Micros += o.Micros
}

// Quantile returns the upper bound of the bucket that holds quantile q
// (0 … 1), 0 when nothing was counted.
func (h *Latency) Quantile(q float64) time.Duration {
	var total uint64
	for _, n := range h.Buckets {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank, seen := uint64(q*float64(total-1)), uint64(0)
	for i, n := range h.Buckets {
		if seen += n; seen > rank {
			return LatencyBound(i)
		}
	}
	return 0
}
