package plain

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/e2e/oracle"
	"sluice/protocol"
)

// The hand-rolled frame says what the library's does.
func TestPlainSaysTheSame(t *testing.T) {
	for n := range 3000 {
		frame := AppendFrame(nil, 7, n)
		if int(binary.BigEndian.Uint32(frame)) != len(frame)-4 || len(frame) > largestPlain {
			t.Fatalf("packet %d: header %d, frame of %d bytes", n, binary.BigEndian.Uint32(frame), len(frame))
		}
		var got protocol.LogPacket
		if err := protocol.DecodePacket(frame[4:], &got); err != nil {
			t.Fatal(err)
		}
		want := oracle.PacketOf(7, n)
		if !got.Messages[0].Timestamp.Equal(want.Messages[0].Timestamp.Time) {
			t.Fatalf("packet %d: %v, want %v", n, got.Messages[0].Timestamp, want.Messages[0].Timestamp)
		}
		got.Messages[0].Timestamp = want.Messages[0].Timestamp
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("packet %d:\n%+v\n%+v", n, got, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	var wire []byte
	wire = protocol.AppendNack(wire, 70_000, protocol.NackBusy, 100*time.Millisecond, strings.Repeat("why ", 80), 3)
	wire = protocol.AppendAck(wire, 1<<40, 300, 5)
	wire = protocol.AppendGoaway(wire, protocol.GoawayOverload, "enough")
	r := &Wire{Sent: 1 << 41}
	got := make([]answer, 3)
	in := newReader(wire)
	for i := range got {
		var err error
		if got[i], err = readAnswer(in); err != nil {
			t.Fatal(err)
		}
	}
	want := []answer{{op: opNack, n: 70_000, code: 1, retry: 100 * time.Millisecond, count: 3},
		{op: opAck, n: 1 << 40, frames: 300, bytes: 5}, {op: opGoaway, n: 4, code: 4}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	r.in, r.Sent = newReader(protocol.AppendAck(nil, 3, 0, 0)), 2
	if _, _, _, err := r.Next(); err == nil || !strings.Contains(err.Error(), "misrouted") {
		t.Errorf("an ACK of what was not sent: %v", err)
	}
	if _, err := readAnswer(newReader([]byte{0, 0, 0, 2, 0x91, 0xc3})); err == nil {
		t.Error("a bool passed as an opcode")
	}
}

func newReader(wire []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(wire)) }
