package bench

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// pair measures two things in turn, block by block, so that what the machine
// does meanwhile is in both. An op is one block of each; bytes is what a block
// of one of them works through.
type pair struct {
	own, base         func()
	ownTime, baseTime time.Duration
}

func (p *pair) run(b *testing.B, size int) {
	p.own() // what is made at first use
	p.base()
	b.SetBytes(int64(2 * size))
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		p.base()
		middle := time.Now()
		p.own()
		p.baseTime += middle.Sub(began)
		p.ownTime += time.Since(middle)
	}
}

// BenchmarkInflateAgainstCodec compares what the scan of a compressed frame
// needs with what the codec needs for the same payload by itself. of-codec is
// the speed of inflating as a share of the codec's, which is to be 0.8 or more;
// scan-of-codec is that with the scan after it.
func BenchmarkInflateAgainstCodec(b *testing.B) {
	for _, s := range diagonal {
		for kind := protocol.Zstd; kind <= protocol.Gzip; kind++ {
			for _, what := range []string{"inflate", "inflate+scan"} {
				b.Run(s.String()+"/"+kind.String()+"/"+what, func(b *testing.B) {
					plain := body(b, s)
					in := protocol.NewCompressor(kind).Append(nil, plain)
					block := max(1, (64<<10)/s.size)
					inspector := protocol.NewInspector(protocol.DefaultMaxFrame)
					decode := codec(b, kind, in, plain)
					var out protocol.Scanned
					p := pair{base: func() {
						for range block {
							decode()
						}
					}, own: func() {
						for range block {
							got, err := inspector.Inflate(in)
							if err == nil && what == "inflate+scan" {
								err = protocol.Scan(got, &out)
							}
							if err != nil || len(got) != len(plain) {
								b.Fatalf("%d bytes, error %v", len(got), err)
							}
						}
					}}
					p.run(b, block*len(plain))
					b.ReportMetric(p.baseTime.Seconds()/p.ownTime.Seconds(), "of-codec")
					if got, err := inspector.Inflate(in); err != nil || !bytes.Equal(got, plain) {
						b.Fatalf("inflates to other bytes (error %v)", err)
					}
				})
			}
		}
	}
}

// codec returns what the codec's own benchmark does with one payload: its
// decoder is made once, and what it writes to is large enough.
func codec(b *testing.B, kind protocol.Compression, frame, plain []byte) func() {
	b.Helper()
	packed := payload(b, frame)
	out := make([]byte, 0, len(plain)+64)
	var decode func() ([]byte, error)
	switch kind {
	case protocol.Zstd:
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(d.Close)
		decode = func() ([]byte, error) { return d.DecodeAll(packed, out[:0]) }
	case protocol.S2:
		decode = func() ([]byte, error) { return s2.Decode(out[:cap(out)], packed) }
	default:
		var src bytes.Reader
		var z gzip.Reader
		decode = func() ([]byte, error) {
			src.Reset(packed)
			if err := z.Reset(&src); err != nil {
				return nil, err
			}
			n := 0
			for { // the buffer is larger than what comes, so it never is full
				k, err := z.Read(out[n:cap(out)])
				if n += k; err == io.EOF {
					return out[:n], nil
				} else if err != nil {
					return nil, err
				}
			}
		}
	}
	if got, err := decode(); err != nil || !bytes.Equal(got, plain) {
		b.Fatalf("the codec makes %d bytes of %d (error %v)", len(got), len(plain), err)
	}
	return func() {
		if _, err := decode(); err != nil {
			b.Fatal(err)
		}
	}
}

// payload is what an ext of msgpack holds.
func payload(b *testing.B, frame []byte) []byte {
	b.Helper()
	head := map[byte]int{0xd4: 2, 0xd5: 2, 0xd6: 2, 0xd7: 2, 0xd8: 2, 0xc7: 3, 0xc8: 4, 0xc9: 6}[frame[0]]
	if head == 0 {
		b.Fatalf("the body begins with %#x, which is no ext", frame[0])
	}
	return frame[head:]
}

// BenchmarkRouteAgentAgainstWeighted compares turns with affinity with turns
// without. cost is the time of a frame with --route agent as a multiple of the
// default's, which is to be 1.2 at most.
func BenchmarkRouteAgentAgainstWeighted(b *testing.B) {
	weighted, agent := newWorld(b, dispatch.RouteWeighted, small), newWorld(b, dispatch.RouteAgent, small)
	read, packets := weighted.read(b, small)
	weighted.warmUp(read)
	agent.warmUp(read)
	p := pair{own: func() { agent.turn(read) }, base: func() { weighted.turn(read) }}
	p.run(b, len(read))
	b.ReportMetric(p.ownTime.Seconds()/p.baseTime.Seconds(), "cost")
	sent := uint64(b.N+warmTurns+1) * packets
	weighted.check(b, sent, true)
	agent.check(b, sent, false)
}
