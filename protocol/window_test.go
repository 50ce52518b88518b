package protocol_test

import (
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
			"settle": func(t *rapid.T) {
				for n := rapid.IntRange(1, 500).Draw(t, "n"); n > 0 && len(unsettled) > 0; n-- {
					i := rapid.IntRange(0, min(3, len(unsettled)-1)).Draw(t, "which")
					w.Settled(1, unsettled[i])
					unsettled = append(unsettled[:i], unsettled[i+1:]...)
				}
			},
			"raise": func(t *rapid.T) {
				f := rapid.Uint64Range(0, frames+1000).Draw(t, "frames")
				b := rapid.Uint64Range(0, bytes+1<<20).Draw(t, "bytes")
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
