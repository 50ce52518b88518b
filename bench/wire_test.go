package bench

import (
	"bytes"
	"testing"

	"sluice/protocol"
)

// BenchmarkEncode is what an agent pays for the body of a packet.
func BenchmarkEncode(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.String(), func(b *testing.B) {
			p := packet(b, s)
			buf := protocol.AppendPacket(nil, p)
			b.SetBytes(int64(s.size))
			b.ReportAllocs()
			for b.Loop() {
				buf = protocol.AppendPacket(buf[:0], p)
			}
			wantScan(b, buf, s)
		})
	}
}

// BenchmarkScan is what the distributor pays to judge a packet.
func BenchmarkScan(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.String(), func(b *testing.B) {
			in := body(b, s)
			var out protocol.Scanned
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if err := protocol.Scan(in, &out); err != nil {
					b.Fatal(err)
				}
			}
			wantScanned(b, &out, s)
		})
	}
}

// BenchmarkDecode is what an analyzer that wants the messages pays.
func BenchmarkDecode(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.String(), func(b *testing.B) {
			in := body(b, s)
			var out protocol.LogPacket
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if err := protocol.DecodePacket(in, &out); err != nil {
					b.Fatal(err)
				}
			}
			if !bytes.Equal(protocol.AppendPacket(nil, &out), in) {
				b.Fatal("what was decoded encodes to something else")
			}
		})
	}
}

// BenchmarkInspect is the scan of frames as agents may compress them. MB/s
// count the plain body, so that they compare.
func BenchmarkInspect(b *testing.B) {
	for _, s := range diagonal {
		for kind := protocol.None; kind <= protocol.Gzip; kind++ {
			name := kind.String()
			if kind == protocol.None {
				name = "plain"
			}
			b.Run(s.String()+"/"+name, func(b *testing.B) {
				plain := body(b, s)
				in := protocol.NewCompressor(kind).Append(nil, plain)
				if packed := in[0] != plain[0]; packed != (kind != protocol.None) {
					b.Fatalf("a body that is to be %s begins with %#x", name, in[0])
				}
				if kind != protocol.None && s != small && len(in) >= len(plain) {
					b.Fatalf("%d bytes became %d: nothing to inflate", len(plain), len(in))
				}
				inspector := protocol.NewInspector(protocol.DefaultMaxFrame)
				var out protocol.Scanned
				if err := inspector.Scan(in, &out); err != nil { // makes the decoder
					b.Fatal(err)
				}
				b.SetBytes(int64(len(plain)))
				b.ReportAllocs()
				for b.Loop() {
					if err := inspector.Scan(in, &out); err != nil {
						b.Fatal(err)
					}
				}
				wantScanned(b, &out, s)
				if got, err := inspector.Inflate(in); err != nil || !bytes.Equal(got, plain) {
					b.Fatalf("inflates to %d other bytes (error %v)", len(got), err)
				}
				b.ReportMetric(float64(len(in))/float64(len(plain)), "wire/plain")
			})
		}
	}
}

func wantScan(b *testing.B, in []byte, s shape) {
	b.Helper()
	var out protocol.Scanned
	if err := protocol.Scan(in, &out); err != nil {
		b.Fatal(err)
	}
	if len(in) != s.size {
		b.Fatalf("the body has %d bytes, not %d", len(in), s.size)
	}
	wantScanned(b, &out, s)
}

func wantScanned(b *testing.B, out *protocol.Scanned, s shape) {
	b.Helper()
	if out.Messages != s.messages || !bytes.HasSuffix(out.PacketID, []byte(idMark)) || string(out.AgentID) != "agent-1" {
		b.Fatalf("scanned packet %q of agent %q with %d messages", out.PacketID, out.AgentID, out.Messages)
	}
}
