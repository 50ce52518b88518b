package client

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// at is a moment of the tests' clock.
func at(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }

func TestWindowBindsNothingAtFirst(t *testing.T) {
	w := newWindow()
	if w.bounded() || w.room(1<<30) == 0 {
		t.Errorf("%+v", w)
	}
	w.acknowledged(10, 10, 10, at(0))
	if w.bounded() {
		t.Errorf("an ACK made a window: %+v", w)
	}
}

func TestWindowHalvesOnceInARoundTrip(t *testing.T) {
	w := newWindow()
	w.refused(1000, 4000, 3200, at(0))
	if w.limit != 1600 || w.room(1600) > 0 || w.room(1599) == 0 {
		t.Fatalf("%+v, want half of what was in flight", w)
	}
	w.refused(4000, 4100, 3000, at(time.Hour)) // sent before the halving, however late the answer
	if w.limit != 1600 {
		t.Fatalf("%+v: halved twice for one round trip", w)
	}
	w.refused(4001, 5000, 1600, at(time.Second))
	if w.limit != 800 {
		t.Fatalf("%+v, want half again", w)
	}
	w.refused(5001, 5001, 100, at(2*time.Second)) // of what was used, not of what was allowed
	if w.limit != 50 {
		t.Fatalf("%+v", w)
	}
	for n := uint64(6000); n < 7000; n += 100 {
		w.refused(n, n, w.limit, at(3*time.Second))
	}
	if w.limit != minWindow {
		t.Fatalf("%+v, want the floor", w)
	}
}

func TestWindowGrowsByAStepForEachOfItself(t *testing.T) {
	w := newWindow()
	w.refused(100, 100, 128, at(0)) // 64
	n := uint64(100)
	ack := func(frames, inFlight int, after time.Duration) {
		n += uint64(frames)
		w.acknowledged(n, frames, inFlight, at(after))
	}
	w.acknowledged(100, 50, 64, at(0)) // sent before the halving
	ack(63, 64, 0)
	if w.limit != 64 {
		t.Fatalf("%+v grew too soon", w)
	}
	ack(1, 64, 0)
	if w.limit != 64+windowStep {
		t.Fatalf("%+v, want one step", w)
	}
	for range 100 {
		ack(w.limit/2-1, w.limit/2-1, 0)
	}
	if w.limit != 64+windowStep {
		t.Fatalf("%+v grew, though less than half of it was tried", w)
	}
	ack(w.limit, w.limit, quietSpan-1)
	if w.limit != 64+2*windowStep {
		t.Fatalf("%+v, want one step more", w)
	}
	ack(w.limit, w.limit, quietSpan)
	if w.limit != 2*(64+2*windowStep) {
		t.Fatalf("%+v, want it doubled after a long quiet", w)
	}
	for range 10 {
		if !w.bounded() {
			break
		}
		ack(w.limit, w.limit, quietSpan)
	}
	if w.bounded() {
		t.Errorf("%+v, want no window any more", w)
	}
}

func TestWindowOutlivesTheConnection(t *testing.T) {
	w := newWindow()
	w.refused(900, 1000, 1000, at(0))
	w.reconnected()
	if w.limit != 500 {
		t.Fatalf("%+v", w)
	}
	w.refused(1, 500, 500, at(1)) // numbers begin again
	if w.limit != 250 {
		t.Errorf("%+v", w)
	}
}

// TestWindowModel: whatever comes, the window stays between its bounds, never
// more than halves at a time, at most once for the frames of a round trip, and
// never grows by more than was acknowledged, or a step.
func TestWindowModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWindow()
		var (
			sent, settled uint64
			halvedAt      uint64 // number of the last frame sent when it was halved
			now           time.Duration
		)
		frames := func(t *rapid.T) (n int, ok bool) {
			if sent == settled {
				return 0, false
			}
			return rapid.IntRange(1, int(sent-settled)).Draw(t, "n"), true
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				for range rapid.IntRange(1, 5000).Draw(t, "n") {
					if w.room(int(sent-settled)) == 0 || sent-settled >= maxWindow {
						break
					}
					sent++
				}
			},
			"wait": func(t *rapid.T) {
				now += time.Duration(rapid.Int64Range(0, int64(2*quietSpan)).Draw(t, "d"))
			},
			"ack": func(t *rapid.T) {
				n, ok := frames(t)
				if !ok {
					return
				}
				before := w.limit
				w.acknowledged(settled+uint64(n), n, int(sent-settled), at(now))
				settled += uint64(n)
				if before == noWindow && w.bounded() {
					t.Fatalf("an ACK made a window of %d", w.limit)
				}
				if w.bounded() && (w.limit < before || w.limit-before > max(n, windowStep)) {
					t.Fatalf("from %d to %d for %d frames", before, w.limit, n)
				}
			},
			"refuse": func(t *rapid.T) {
				n, ok := frames(t)
				if !ok {
					return
				}
				before, inFlight, last := w.limit, int(sent-settled), settled+uint64(n)
				w.refused(last, sent, inFlight, at(now))
				settled = last
				if last <= halvedAt {
					if w.limit != before {
						t.Fatalf("halved again from %d to %d for frame %d, sent before %d", before, w.limit, last, halvedAt)
					}
					return
				}
				halvedAt = sent
				if w.limit > max(minWindow, inFlight/2) || w.limit < max(minWindow, min(before, inFlight)/2) {
					t.Fatalf("from %d to %d with %d in flight", before, w.limit, inFlight)
				}
			},
			"reconnect": func(*rapid.T) {
				sent, settled, halvedAt = 0, 0, 0
				w.reconnected()
			},
			"": func(t *rapid.T) {
				if w.limit < minWindow || w.bounded() && w.limit >= maxWindow || w.room(0) == 0 {
					t.Fatalf("%+v", w)
				}
			},
		})
	})
}

// TestWindowsMeet is what AIMD is taken for: two senders of very different
// windows at a receiver that refuses above a sum come to equal shares.
func TestWindowsMeet(t *testing.T) {
	const capacity = 2000
	a, b := newWindow(), newWindow()
	a.refused(1, 1, 2*1900, at(0))
	b.refused(1, 1, 2*40, at(0))
	n := uint64(1)
	for range 10_000 { // round trips
		n += maxWindow
		full := a.limit+b.limit > capacity
		for _, w := range []*window{&a, &b} {
			if full {
				w.refused(n, n, w.limit, at(0))
			} else {
				w.acknowledged(n, w.limit, w.limit, at(0))
			}
		}
	}
	if big, small := max(a.limit, b.limit), min(a.limit, b.limit); big > small*11/10 || big+small < capacity/3 {
		t.Errorf("windows %d and %d after 10,000 round trips", a.limit, b.limit)
	}
}
