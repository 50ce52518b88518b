package client

import (
	"context"
	"testing"

	"sluice/protocol"
)

// BenchmarkPacket is a packet's way through the client with the socket cut off:
// handed in 512 at a time, taken for a write, acknowledged, its outcome told. An op
// is 512 packets of 200 bytes.
func BenchmarkPacket(b *testing.B) {
	const n = 512
	told := uint64(0)
	c := newClient(Config{MaxUnsettled: DefaultMaxUnsettled, MaxBuffer: DefaultMaxBuffer,
		OnOutcome: func(uint64, Outcome) { told++ }}, defaultTiming())
	s := c.newSession(nil)
	c.session = s
	body := make([]byte, 200)
	body[0] = 0x83
	var (
		out  batch
		outs []settled
		sent uint64
	)
	b.SetBytes(n * int64(protocol.HeaderSize+len(body)))
	b.ReportAllocs()
	for b.Loop() {
		k, err := c.SendFunc(context.Background(), n, sent, func(dst []byte, _ uint64) []byte { return append(dst, body...) })
		if err != nil || k != n {
			b.Fatal(k, err)
		}
		c.mu.Lock()
		for c.take(s, &out); out.size > 0; c.take(s, &out) {
			for _, p := range out.pieces {
				c.stage.release(p.in, 1)
			}
			out.reset()
		}
		sent = s.window.Number()
		outs, err = c.ack(s, &protocol.Control{Op: protocol.OpAck, N: sent, Frames: sent + 4096, Bytes: 1 << 60}, outs[:0])
		c.mu.Unlock()
		if err != nil {
			b.Fatal(err)
		}
		c.deliver(outs)
	}
	if told != sent || sent != uint64(b.N)*n {
		b.Fatalf("%d sent, %d told of %d", sent, told, b.N*n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sent), "ns/packet")
}
