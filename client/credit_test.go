package client

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"sluice/internal/await"
	"sluice/protocol"
)

func TestCreditIsRespected(t *testing.T) {
	r := newReceiver(t)
	c, _ := start(t, Config{Addrs: []string{r.addr()}}, nil)
	p := r.accept()
	send(t, c, 1, protocol.FirstCreditFrames+10)
	p.packets(protocol.FirstCreditFrames)
	p.nothingMore()
	p.write(protocol.AppendAck(nil, 0, protocol.FirstCreditFrames+3, 1<<30))
	p.packets(3)
	p.nothingMore()
	p.write(protocol.AppendAck(nil, 0, 1, 1)) // credit is never taken back
	p.write(protocol.AppendAck(nil, protocol.FirstCreditFrames+3, protocol.FirstCreditFrames+10, 1<<30))
	wantIDs(t, p.packets(7), protocol.FirstCreditFrames+4)
	p.ack(protocol.FirstCreditFrames + 10)
	mustClose(t, c)
}

func TestByteCreditAndTheFrameLargerThanIt(t *testing.T) {
	r := newReceiver(t)
	c, _ := start(t, Config{Addrs: []string{r.addr()}}, nil)
	p := r.accept()
	big := packet(1)
	big.Messages[0].Message = string(make([]byte, 900_000))
	sent := make(chan error, 1)
	go func() { // the sixth waits: the fifth, which has no credit, is a write's worth
		var err error
		for n := range 6 {
			err = errors.Join(err, c.SendPacket(t.Context(), big, uint64(n)))
		}
		sent <- err
	}()
	p.packets(4) // 4 MiB of first credit
	p.nothingMore()
	p.write(protocol.AppendAck(nil, 4, 100, p.bytes)) // no credit, but nothing unsettled
	p.packets(1)
	p.nothingMore()
	p.ack(5)
	p.packets(1)
	p.ack(6)
	if err := await.Value(t, "end of the sends", sent); err != nil {
		t.Error(err)
	}
	mustClose(t, c)
}

// A receiver may give more credit than anybody can count.
func TestBoundlessCredit(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}, Hello: true, MaxBuffer: 64 << 20}, nil)
	p := r.accept()
	p.control(protocol.OpHello)
	p.write(protocol.AppendWelcome(nil, protocol.Welcome{Version: 1, Frames: math.MaxUint64, Bytes: math.MaxUint64, MaxFrame: protocol.DefaultMaxFrame}))
	send(t, c, 1, 1)
	p.packets(1)
	large := packet(2)
	large.Messages[0].Message = string(make([]byte, 2*writeSize))
	if err := c.SendPacket(t.Context(), large, 2); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, p.packets(1), 2) // while the first has no answer
	p.ack(2)
	if !out.wait(2).Delivered {
		t.Error("not delivered")
	}
	mustClose(t, c)
}

func TestSendBlocksWhileFull(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}, MaxUnsettled: 4}, nil)
	p := r.accept()
	appendBody := func(dst []byte, tag uint64) []byte { return protocol.AppendPacket(dst, packet(int(tag))) }
	if n, err := c.SendFunc(t.Context(), 10, 1, appendBody); n != 4 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if n, err := c.SendFunc(ctx, 1, 5, appendBody); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%d, %v", n, err)
	}
	p.packets(4)
	p.ack(2)
	if n, err := c.SendFunc(t.Context(), 2, 5, appendBody); n < 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	out.wait(2)
	p.packets(1)
	p.ack(5)
	out.wait(5)
}

// TestSmallBufferStillSends: MaxBuffer counts chunks, and the empty last one is
// kept. With nothing unsettled a packet is taken whatever its size.
func TestSmallBufferStillSends(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}, MaxBuffer: 1}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var p *peer
	for n := 1; n <= 3; n++ {
		if err := c.SendPacket(ctx, packet(n), uint64(n)); err != nil {
			t.Fatalf("packet %d: %v", n, err)
		}
		if p == nil {
			p = r.accept()
		}
		wantIDs(t, p.packets(1), n)
		p.ack(uint64(n))
		out.wait(uint64(n))
	}
}

// TestBusyMakesAWindow: half of what was in flight is all that the client then
// sends at a time, also on the next connection.
func TestBusyMakesAWindow(t *testing.T) {
	r := newReceiver(t)
	c, _ := start(t, Config{Addrs: []string{r.addr()}}, nil)
	p := r.accept()
	send(t, c, 1, 100)
	p.packets(100)
	p.write(protocol.AppendNack(nil, 1, protocol.NackBusy, time.Millisecond, "", 100))
	p.ack(100)
	wantIDs(t, p.packets(50), 1)
	p.nothingMore()
	if s := c.Stats(); s.Window != 50 || s.Busy != 100 {
		t.Errorf("%+v", s)
	}
	p.nc.Close()
	q := r.accept()
	q.packets(50)
	q.nothingMore()
	q.ack(50)
	q.packets(50)
	q.ack(100)
	mustClose(t, c)
}
