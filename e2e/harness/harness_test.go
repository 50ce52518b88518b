package harness

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/analyzer/record"
	"sluice/internal/await"
	"sluice/protocol"
)

// The hand-rolled frame says what the library's does.
func TestPlainSaysTheSame(t *testing.T) {
	for n := range 3000 {
		frame := appendPlain(nil, 7, n)
		if int(binary.BigEndian.Uint32(frame)) != len(frame)-4 || len(frame) > largestPlain {
			t.Fatalf("packet %d: header %d, frame of %d bytes", n, binary.BigEndian.Uint32(frame), len(frame))
		}
		var got protocol.LogPacket
		if err := protocol.DecodePacket(frame[4:], &got); err != nil {
			t.Fatal(err)
		}
		want := packetOf(7, n)
		if !got.Messages[0].Timestamp.Equal(want.Messages[0].Timestamp.Time) {
			t.Fatalf("packet %d: %v, want %v", n, got.Messages[0].Timestamp, want.Messages[0].Timestamp)
		}
		got.Messages[0].Timestamp = want.Messages[0].Timestamp
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("packet %d:\n%+v\n%+v", n, got, want)
		}
	}
}

func TestIDs(t *testing.T) {
	id := appendID(nil, 12, 345)
	if agent, n, ok := parseID(id); !ok || agent != 12 || n != 345 || len(id) != idSize {
		t.Errorf("%s: %d, %d, %v", id, agent, n, ok)
	}
	for _, bad := range []string{"", string(id[:14]), string(id) + "0", "b" + string(id[1:]), "a0012-00000034x"} {
		if _, _, ok := parseID([]byte(bad)); ok {
			t.Errorf("%q is no id", bad)
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

// What must not be is seen: one packet lost, one delivered twice, one changed,
// one of a stranger, and a torn line that is nobody's.
func TestJudgeSees(t *testing.T) {
	dir := t.TempDir()
	var o Oracle
	b := o.NewBook()
	var receipts, output []byte
	for n := range 10 {
		b.Issue()
		p := packetOf(0, n)
		switch n {
		case 3: // lost
			continue
		case 5:
			receipts = append(receipts, "a0000-000000005\n"...) // twice
		case 7:
			p.Messages[0].Message += "x" // changed
		}
		receipts = append(append(receipts, p.PacketID...), '\n')
		output = record.AppendMessages(output, []byte(p.PacketID), []byte(p.AgentID), protocol.AppendPacket(nil, &p), time.Time{})
	}
	for n := range 9 {
		b.Acked(n) // the last one has no answer
	}
	receipts = append(receipts, "a0009-000000001\na0000-0000\n"...)
	path := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := []string{path("receipts", receipts), filepath.Join(dir, "of an analyzer that never started")}
	j, err := o.Judge(files, []string{path("output", output)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if j.Issued != 10 || j.Acked != 9 || j.Lost != 1 || j.Dup != 1 || j.Unlike != 1 || j.Strangers != 1 || j.Torn != 1 || j.Lines != 9 {
		t.Errorf("%+v", j)
	}
	// A dead letter is not lost.
	letters := filepath.Join(dir, "letters")
	if err := os.Mkdir(letters, 0o755); err != nil {
		t.Fatal(err)
	}
	path("letters/letters-0000000000000001.frames", appendPlain(nil, 0, 3))
	if j, err = o.Judge(files, nil, []string{letters}); err != nil || j.Lost != 0 || j.DeadLetters != 1 {
		t.Errorf("with the dead letter: %+v, %v", j, err)
	}
	if b.Acked(2); b.count != 1 {
		t.Errorf("a second answer: %d faults", b.count)
	}
}

// relayed returns both ends of a connection through a relay.
func relayed(t *testing.T) (*Relay, net.Conn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRelay("127.0.0.1:0", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := net.Dial("tcp", r.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close(); r.Close(); ln.Close() })
	for _, c := range []net.Conn{near, far} {
		if err := c.SetDeadline(time.Now().Add(await.Patience)); err != nil {
			t.Fatal(err)
		}
	}
	await.True(t, "joined", func() bool { return len(r.open()) == 1 })
	return r, near, far
}

func frames(n int) (wire []byte) {
	for i := range n {
		wire = appendPlain(wire, 1, i)
		wire = protocol.AppendAck(wire, uint64(i), 1, 1)
	}
	return wire
}

// Whatever slices and delays, the bytes arrive, and data frames are counted.
func TestRelayPasses(t *testing.T) {
	r, near, far := relayed(t)
	wire := frames(50)
	for _, m := range []Mode{{}, {Slice: true}, {Delay: 20 * time.Millisecond}, {Limit: [2]int{len(wire) * 10, 0}}} {
		before := r.Passed(Up)
		r.Set(m)
		go func() { _, _ = near.Write(wire) }() // an error shows as missing bytes
		got := make([]byte, len(wire))
		if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, wire) {
			t.Fatalf("%+v: %v", m, err)
		}
		if n := r.Passed(Up) - before; n != 50 {
			t.Errorf("%+v: counted %d data frames of 50", m, n)
		}
	}
}

func TestRelayDropsFrames(t *testing.T) {
	r, near, far := relayed(t)
	r.Set(Mode{Slice: true, Drop: func(w Way, body []byte) bool { return w == Up && body[0]&0xf0 == 0x90 }})
	if _, err := near.Write(frames(50)); err != nil {
		t.Fatal(err)
	}
	want := []byte{}
	for i := range 50 {
		want = appendPlain(want, 1, i)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("not the data frames alone: %v", err)
	}
}

// In a hole nothing passes; after it everything does.
func TestRelayHole(t *testing.T) {
	r, near, far := relayed(t)
	r.Set(Mode{Hole: [2]bool{true, false}})
	if _, err := near.Write([]byte("up")); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write([]byte("down")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(near, got); err != nil || string(got) != "down" {
		t.Fatalf("%q, %v", got, err)
	}
	if err := far.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := far.Read(got); n > 0 {
		t.Fatalf("%q came through the hole, %v", got[:n], err)
	}
	if err := far.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	r.Set(Mode{})
	if _, err := io.ReadFull(far, got[:2]); err != nil || string(got[:2]) != "up" {
		t.Fatalf("%q, %v", got, err)
	}
}

// A cut is inside a frame and both ends see it as a reset.
func TestRelayCutsInsideAFrame(t *testing.T) {
	for name, wire := range map[string][]byte{"whole frames": frames(3), "a part of one": frames(3)[:40]} {
		r, near, far := relayed(t)
		r.CutInside(Up)
		if _, err := near.Write(wire); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(far)
		if err == nil {
			t.Errorf("%s: the far end sees an orderly end", name)
		}
		var f framer
		f.follow(got)
		if !f.inside() && len(got) > 0 {
			t.Errorf("%s: cut after %d bytes, which is no place inside a frame", name, len(got))
		}
		if r.Severed() != 1 {
			t.Errorf("%s: %d severed", name, r.Severed())
		}
	}
}

func TestVerdict(t *testing.T) {
	results := []*Result{
		{ID: "X1", Fault: "none", Times: 3, Due: 3, Acked: 5000, BoundIs: "none allowed", Settle: 1500 * time.Millisecond},
		{ID: "X2", Invalid: []string{"it did not fire"}},
		{ID: "X3", Invalid: []string{"it did not fire"}, Failures: []string{"1 lost"}},
	}
	if table := Markdown(results); !strings.Contains(table, "| X1 | none | 3 | 5000 | 0 | 0 | 0 (none allowed) | 1.5 s | passed |") {
		t.Error(table)
	}
	if got := results[0].Status() + results[1].Status() + results[2].Status(); got != "passedINVALIDFAILED" {
		t.Error(got)
	}
}

func newReader(wire []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(wire)) }
