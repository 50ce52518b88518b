package protocol_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"sluice/protocol"
)

// The model keeps every unsettled frame in a list.
func TestSendWindowModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := protocol.NewSendWindow()
		var unsettled []int
		frames, bytes := uint64(protocol.FirstCreditFrames), uint64(protocol.FirstCreditBytes)
		sent, sentBytes := uint64(0), uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				size := rapid.IntRange(5, protocol.DefaultMaxFrame+4).Draw(t, "size")
				for range rapid.IntRange(1, 500).Draw(t, "times") {
					within := sent+1 <= frames && sentBytes+uint64(size) <= bytes
					if got := w.CanSend(size); got != (within || len(unsettled) == 0) {
						t.Fatalf("CanSend(%d) = %v: sent %d/%d frames, %d/%d bytes, %d unsettled",
							size, got, sent, frames, sentBytes, bytes, len(unsettled))
					}
					if !w.CanSend(size) {
						return
					}
					w.Sent(size)
					unsettled = append(unsettled, size)
					sent++
					sentBytes += uint64(size)
				}
			},
			"batch": func(t *rapid.T) {
				// As many as one by one, up to a write's worth.
				sizes := rapid.SliceOfN(rapid.IntRange(5, 300_000), 1, 60).Draw(t, "sizes")
				most := rapid.IntRange(1, 1<<20).Draw(t, "most")
				n, room := w.Batch(sizes[0], most)
				got, gotBytes := 0, 0
				for got < min(n, len(sizes)) && gotBytes+sizes[got] <= room {
					gotBytes += sizes[got]
					got++
				}
				one, want, wantBytes := w, 0, 0
				for want < len(sizes) && one.CanSend(sizes[want]) && (want == 0 || wantBytes+sizes[want] <= most) {
					one.Sent(sizes[want])
					wantBytes += sizes[want]
					want++
				}
				if got != want || gotBytes != wantBytes {
					t.Fatalf("a batch of %d frames and %d bytes, one by one %d and %d", got, gotBytes, want, wantBytes)
				}
				w.SentRun(got, gotBytes)
				if w != one {
					t.Fatalf("%+v, one by one %+v", w, one)
				}
				unsettled = append(unsettled, sizes[:got]...)
				sent += uint64(got)
				sentBytes += uint64(gotBytes)
			},
			"settle": func(t *rapid.T) {
				for n := rapid.IntRange(1, 500).Draw(t, "n"); n > 0 && len(unsettled) > 0; n-- {
					i := rapid.IntRange(0, min(3, len(unsettled)-1)).Draw(t, "which")
					w.Settled(1, unsettled[i])
					unsettled = append(unsettled[:i], unsettled[i+1:]...)
				}
			},
			"raise": func(t *rapid.T) {
				f := rapid.OneOf(rapid.Uint64Range(0, frames+min(1000, math.MaxUint64-frames)), rapid.Just(uint64(math.MaxUint64))).Draw(t, "frames")
				b := rapid.OneOf(rapid.Uint64Range(0, bytes+min(1<<20, math.MaxUint64-bytes)), rapid.Just(uint64(math.MaxUint64))).Draw(t, "bytes")
				w.Raise(f, b)
				frames, bytes = max(frames, f), max(bytes, b)
			},
			"": func(t *rapid.T) {
				total := 0
				for _, size := range unsettled {
					total += size
				}
				if f, b := w.Unsettled(); f != len(unsettled) || b != total || w.Number() != sent {
					t.Fatalf("Unsettled %d, %d, Number %d; want %d, %d, %d", f, b, w.Number(), len(unsettled), total, sent)
				}
			},
		})
	})
}

func TestSendWindowIgnoresMoreSettledThanSent(t *testing.T) {
	w := protocol.NewSendWindow()
	w.Settled(1, 100)
	w.Sent(10)
	w.Settled(1, 100)
	w.Settled(1, 100)
	if f, b := w.Unsettled(); f != 0 || b != 0 {
		t.Errorf("unsettled %d frames, %d bytes", f, b)
	}
}
