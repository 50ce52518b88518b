package relay

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"sluice/e2e/oracle"
	"sluice/internal/await"
	"sluice/protocol"
)

// relayed returns both ends of a connection through a relay.
func relayed(t *testing.T) (*Relay, net.Conn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, err := New("127.0.0.1:0", ln.Addr().String())
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
		wire = plainFrame(wire, 1, i)
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
		want = plainFrame(want, 1, i)
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

// plainFrame appends a data frame.
func plainFrame(dst []byte, agent, n int) []byte {
	p := oracle.PacketOf(agent, n)
	return protocol.AppendFrame(dst, protocol.AppendPacket(nil, &p))
}
