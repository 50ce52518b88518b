package dispatch

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Whatever was counted lies below the bound of its bucket and not below that of
// the one before, and the sum is exact to the microsecond.
func TestLatencyBuckets(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	times := []time.Duration{0, time.Nanosecond, time.Microsecond, 255 * time.Microsecond, 256 * time.Microsecond, time.Second}
	for range 2000 {
		times = append(times, time.Duration(random.Int64N(1<<random.IntN(37))))
	}
	var sum time.Duration
	for _, d := range times {
		var h Latency
		h.count(d, 3)
		i := slices.Index(h.Buckets[:], 3)
		us := max(d.Truncate(time.Microsecond), time.Microsecond)
		if i < 0 || us >= LatencyBound(i) || i > 0 && us < LatencyBound(i-1) {
			t.Errorf("%v is in bucket %d, below %v", d, i, LatencyBound(max(i, 0)))
		}
		if h.Micros != 3*uint64(us/time.Microsecond) {
			t.Errorf("the sum of three times %v is %d µs", d, h.Micros)
		}
		sum += us
	}
	if sum == 0 {
		t.Error("nothing was counted")
	}
}

func TestLatencyBeyondTheLastBucket(t *testing.T) {
	var h Latency
	h.count(time.Hour, 2)
	if h.Buckets[LatencyBuckets-1] != 2 || h.Micros != 2*3600*1e6 || h.Quantile(1) != LatencyBound(LatencyBuckets-1) {
		t.Errorf("%+v", h)
	}
}

func TestLatencyQuantiles(t *testing.T) {
	var h, sum Latency
	if h.Quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
	h.count(time.Millisecond, 98)
	h.count(time.Second, 2)
	sum.Add(&h)
	sum.Add(&h)
	for _, tc := range []struct {
		q    float64
		true time.Duration
	}{{0, time.Millisecond}, {0.5, time.Millisecond}, {0.97, time.Millisecond}, {0.99, time.Second}, {1, time.Second}} {
		for _, h := range []*Latency{&h, &sum} {
			if got := h.Quantile(tc.q); got < tc.true || float64(got) > 1.25*float64(tc.true) {
				t.Errorf("quantile %v is %v, truly %v", tc.q, got, tc.true)
			}
		}
	}
}
