package protocol_test

import (
	"strings"
	"testing"
	"time"

	"sluice/protocol"
)

// plainPacket is a body of 200 bytes with one message of the four known keys:
// what loadgen sends.
func plainPacket() []byte {
	p := protocol.LogPacket{
		PacketID: "018f4c2e-0000-7000-8000-000000000001",
		AgentID:  "agent-1",
		Messages: []protocol.LogMessage{{
			Timestamp: protocol.Timestamp{Time: time.Unix(1700000000, 123456789)},
			Level:     protocol.LevelInfo,
			Source:    "loadgen",
		}},
	}
	n := 200 - len(protocol.AppendPacket(nil, &p)) - 1
	p.Messages[0].Message = strings.Repeat("x", n)
	return protocol.AppendPacket(nil, &p)
}

func BenchmarkScan(b *testing.B) {
	body := plainPacket()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var s protocol.Scanned
	for b.Loop() {
		if err := protocol.Scan(body, &s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendPacket(b *testing.B) {
	var p protocol.LogPacket
	if err := protocol.DecodePacket(plainPacket(), &p); err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = protocol.AppendPacket(buf[:0], &p)
	}
}

func BenchmarkDecodePacket(b *testing.B) {
	body := plainPacket()
	var p protocol.LogPacket
	b.ReportAllocs()
	for b.Loop() {
		if err := protocol.DecodePacket(body, &p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkView is what an analyzer that counts pays; the scan is not in it.
func BenchmarkView(b *testing.B) {
	body := plainPacket()
	b.ReportAllocs()
	for b.Loop() {
		v, m := protocol.NewView(body), protocol.Message{}
		for v.Next(&m) {
		}
	}
}

func BenchmarkSettleInOrder(b *testing.B) {
	var s protocol.AckSequence
	n := uint64(0)
	for b.Loop() {
		n++
		s.Settle(n)
	}
}

// BenchmarkSettleOutOfOrder settles blocks of 64 numbers, the first one last.
func BenchmarkSettleOutOfOrder(b *testing.B) {
	var s protocol.AckSequence
	n := uint64(0)
	for b.Loop() {
		n++
		if n&63 == 0 {
			s.Settle(n - 63)
		} else {
			s.Settle(n + 1)
		}
	}
}
