package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"testing"
	"time"

	"sluice/internal/await"
	"sluice/protocol"
)

func TestEveryPacketIsDeliveredOnce(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}}, nil)
	p := r.accept()
	send(t, c, 1, 1000)
	wantIDs(t, p.packets(1000), 1)
	p.ack(400)
	p.ack(400) // an ACK again changes nothing
	p.ack(1000)
	mustClose(t, c)
	p.closed()
	for n := range 1000 {
		if o := out.wait(uint64(n + 1)); !o.Delivered || o.Resends != 0 {
			t.Fatalf("packet %d: %+v", n+1, o)
		}
	}
	if s := c.Stats(); s.Delivered != 1000 || s.Sent != 1000 || s.Unsettled != 0 || s.Connected {
		t.Errorf("%+v", s)
	}
	if err := c.SendPacket(t.Context(), packet(1), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
}

func TestNackThatSaysResend(t *testing.T) {
	for _, code := range []protocol.NackCode{protocol.NackBusy, protocol.NackUnavailable} {
		t.Run(code.String(), func(t *testing.T) {
			r := newReceiver(t)
			c, out := start(t, Config{Addrs: []string{r.addr()}}, nil)
			p := r.accept()
			send(t, c, 1, 3)
			wantIDs(t, p.packets(3), 1)
			p.nack(2, code, "later")
			p.nack(2, protocol.NackInvalid, "a second answer counts for nothing")
			p.ack(3)
			wantIDs(t, p.packets(1), 2) // the same packet as frame 4, on the same connection
			p.ack(4)
			mustClose(t, c)
			if o := out.wait(2); !o.Delivered || o.Resends != 1 {
				t.Errorf("%+v", o)
			}
			if s := c.Stats(); s.Busy != 1 || s.Resends != 1 || s.Connects != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestNackThatIsFinal(t *testing.T) {
	for _, code := range []protocol.NackCode{protocol.NackInvalid, protocol.NackTooLarge, protocol.NackUnauthorized} {
		t.Run(code.String(), func(t *testing.T) {
			r := newReceiver(t)
			c, out := start(t, Config{Addrs: []string{r.addr()}}, nil)
			p := r.accept()
			send(t, c, 1, 3)
			p.packets(3)
			p.nack(2, code, "because")
			p.ack(3)
			mustClose(t, c)
			if o := out.wait(2); o.Delivered || o.Code != code || o.Text != "because" {
				t.Errorf("%+v", o)
			}
			if !out.wait(1).Delivered || !out.wait(3).Delivered || out.count() != 3 {
				t.Error("the others were not delivered")
			}
		})
	}
}

func TestNackOfManyFrames(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}}, nil)
	p := r.accept()
	send(t, c, 1, 10)
	p.packets(10)
	p.write(protocol.AppendNack(nil, 3, protocol.NackBusy, time.Millisecond, "", 5))
	p.ack(10)
	wantIDs(t, p.packets(5), 3)
	p.ack(15)
	mustClose(t, c)
	if out.count() != 10 || c.Stats().Busy != 5 {
		t.Errorf("%d outcomes, %+v", out.count(), c.Stats())
	}
}

func TestDrainingMovesToTheNextAddress(t *testing.T) {
	for name, script := range map[string]func(p *peer){
		"goaway": func(p *peer) { p.write(protocol.AppendGoaway(nil, protocol.GoawayDrain, "bye")) },
		"nack":   func(p *peer) { p.nack(3, protocol.NackDraining, "bye") },
	} {
		t.Run(name, func(t *testing.T) {
			r1, r2 := newReceiver(t), newReceiver(t)
			c, out := start(t, Config{Addrs: []string{r1.addr(), r2.addr()}}, nil)
			p := r1.accept()
			send(t, c, 1, 3)
			p.packets(3)
			script(p)
			p.nothingMore() // the client has read the script
			send(t, c, 4, 5)
			p.nothingMore()
			p.ack(2)
			if name == "goaway" {
				p.nothingMore() // it still waits for frame 3
				p.ack(3)
			}
			q := r2.accept()
			p.closed()
			first := map[string]int{"goaway": 4, "nack": 3}[name]
			wantIDs(t, q.packets(6-first), first)
			q.ack(uint64(6 - first))
			mustClose(t, c)
			if out.count() != 5 || c.Stats().Delivered != 5 {
				t.Errorf("%+v", c.Stats())
			}
		})
	}
}

func TestLostConnectionResendsInOrder(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}}, nil)
	p := r.accept()
	send(t, c, 1, 10)
	p.packets(10)
	p.ack(4)
	out.wait(4)
	p.nc.Close()
	q := r.accept()
	wantIDs(t, q.packets(6), 5)
	q.ack(6)
	mustClose(t, c)
	if o := out.wait(10); !o.Delivered || o.Resends != 1 {
		t.Errorf("%+v", o)
	}
	if s := c.Stats(); s.Connects != 2 || s.Resends != 6 || s.LastError == nil {
		t.Errorf("%+v", s)
	}
}

// TestReceiverThatLies: whatever settles nothing must settle nothing.
func TestReceiverThatLies(t *testing.T) {
	for name, lie := range map[string][]byte{
		"ack past the end":       protocol.AppendAck(nil, 4, 100, 1<<20),
		"nack past the end":      protocol.AppendNack(nil, 2, protocol.NackInvalid, 0, "", 3),
		"nack of a huge range":   protocol.AppendNack(nil, 2, protocol.NackInvalid, 0, "", 1<<63),
		"nack of frame 0":        protocol.AppendNack(nil, 0, protocol.NackInvalid, 0, "", 1),
		"malformed control":      protocol.AppendFrame(nil, []byte{0x93, 0xc1, 0xc1, 0xc1}),
		"a data frame":           protocol.AppendFrame(nil, []byte{0x80}),
		"length 0":               {0, 0, 0, 0},
		"length 4 G":             {0xff, 0xff, 0xff, 0xff},
		"welcome without hello":  protocol.AppendWelcome(nil, protocol.Welcome{Version: 1}),
		"goaway, protocol error": protocol.AppendGoaway(nil, protocol.GoawayProtocol, "you"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			c, out := start(t, Config{Addrs: []string{r.addr()}}, nil)
			p := r.accept()
			send(t, c, 1, 3)
			p.packets(3)
			p.write(lie)
			p.closed()
			q := r.accept()
			wantIDs(t, q.packets(3), 1)
			if out.count() != 0 {
				t.Fatal("a lie settled something")
			}
			q.ack(3)
			mustClose(t, c)
		})
	}
}

func TestUnknownOpcodesAndExtraElementsAreIgnored(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}}, nil)
	p := r.accept()
	send(t, c, 1, 1)
	p.packets(1)
	p.write(protocol.AppendFrame(nil, []byte{0x92, 0x63, 0x01}))
	p.write(protocol.AppendFrame(nil, []byte{0x96, 3, 1, 0x64, 0x64, 0xc0, 0x01}))
	if !out.wait(1).Delivered {
		t.Error("not delivered")
	}
	mustClose(t, c)
}

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

func TestHelloAndWelcome(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}, Hello: true, Agent: "me", Token: "secret"}, nil)
	p := r.accept()
	send(t, c, 1, 1)
	hello := p.control(protocol.OpHello).Hello
	if hello.Version != protocol.Version || hello.Agent != "me" || hello.Token != "secret" {
		t.Errorf("%+v", hello)
	}
	p.nothingMore() // no data before the WELCOME
	p.write(protocol.AppendWelcome(nil, protocol.Welcome{Version: 1, Frames: 5000, Bytes: 8 << 20, MaxFrame: 200}))
	p.packets(1)
	p.ack(1)
	large := packet(2)
	large.Messages[0].Message = string(make([]byte, 300))
	if err := c.SendPacket(t.Context(), large, 2); err != nil {
		t.Fatal(err)
	}
	if o := out.wait(2); o.Delivered || o.Code != protocol.NackTooLarge {
		t.Errorf("larger than max_frame: %+v", o)
	}
	p.nothingMore()
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

func TestWithoutAWelcomeTheFirstCreditCounts(t *testing.T) {
	r := newReceiver(t)
	c, _ := start(t, Config{Addrs: []string{r.addr()}, Hello: true}, func(l *timing) { l.welcomeWait = 30 * time.Millisecond })
	p := r.accept()
	send(t, c, 1, 1)
	p.control(protocol.OpHello)
	p.packets(1)
	p.ack(1)
	mustClose(t, c)
}

func TestCompression(t *testing.T) {
	for _, x := range []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip} {
		t.Run(x.String(), func(t *testing.T) {
			r := newReceiver(t)
			c, _ := start(t, Config{Addrs: []string{r.addr()}, Hello: true, Compression: x}, nil)
			p := r.accept()
			p.welcome(protocol.Welcome{Version: 1, Compression: []protocol.Compression{x}})
			long := packet(1)
			long.Messages[0].Message = fmt.Sprintf("%01000d", 0)
			if err := c.SendPacket(t.Context(), long, 1); err != nil {
				t.Fatal(err)
			}
			wantIDs(t, p.packets(1), 1)
			if p.bytes > 500 {
				t.Errorf("%d bytes: not compressed", p.bytes)
			}
			p.nc.Close()
			q := r.accept() // this one does not take it, so it gets nothing
			q.welcome(protocol.Welcome{Version: 1})
			q.closed()
			p = r.accept()
			p.welcome(protocol.Welcome{Version: 1, Compression: []protocol.Compression{x}})
			wantIDs(t, p.packets(1), 1)
			p.ack(1)
			mustClose(t, c)
		})
	}
	t.Run("refused", func(t *testing.T) {
		r := newReceiver(t)
		c, _ := start(t, Config{Addrs: []string{r.addr()}, Hello: true, Compression: protocol.Zstd}, nil)
		p := r.accept()
		p.welcome(protocol.Welcome{Version: 1})
		send(t, c, 1, 1)
		if b := p.next(); !isMap(b) {
			t.Errorf("body begins with %#x", b[0])
		}
		p.ack(1)
		mustClose(t, c)
	})
}

func TestSilentPeerIsAskedThenGivenUp(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}}, func(l *timing) {
		l.pingAfter, l.silence = 20*time.Millisecond, 200*time.Millisecond
	})
	p := r.accept()
	send(t, c, 1, 2)
	p.packets(2)
	p.control(protocol.OpPing)
	p.closed()
	q := r.accept()
	wantIDs(t, q.packets(2), 1)
	q.ack(2)
	out.wait(2)
	mustClose(t, c)
}

func TestSlowPeerThatAnswersIsNotResentTo(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}}, func(l *timing) {
		l.pingAfter, l.silence = 10*time.Millisecond, 5*time.Second
	})
	p := r.accept()
	send(t, c, 1, 1)
	p.packets(1)
	for range 20 {
		p.write(protocol.AppendPong(nil, p.control(protocol.OpPing).Echo))
	}
	p.ack(1)
	if o := out.wait(1); !o.Delivered || o.Resends != 0 {
		t.Errorf("%+v", o)
	}
	mustClose(t, c)
	if s := c.Stats(); s.Connects != 1 {
		t.Errorf("%+v", s)
	}
}

func TestBodiesThatMustNotBeSent(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}, MaxFrame: 100}, nil)
	for tag, body := range [][]byte{{}, {0x90}, {0xdc, 0, 0}, make([]byte, 101)} {
		if err := c.SendBody(t.Context(), body, uint64(tag)); err != nil {
			t.Fatal(err)
		}
		want := protocol.NackInvalid
		if len(body) > 100 {
			want = protocol.NackTooLarge
		}
		if o := out.wait(uint64(tag)); o.Delivered || o.Code != want {
			t.Errorf("%x: %+v", body[:min(3, len(body))], o)
		}
	}
	mustClose(t, c)
}

func TestCloseThatGivesUp(t *testing.T) {
	r := newReceiver(t)
	c, out := start(t, Config{Addrs: []string{r.addr()}}, nil)
	p := r.accept()
	send(t, c, 1, 2)
	p.packets(2)
	p.ack(1)
	out.wait(1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v", err)
	}
	if o := out.wait(2); o.Delivered || o.Code != 0 || out.count() != 2 {
		t.Errorf("%+v", o)
	}
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

func TestUnreachableAddressIsTriedAgain(t *testing.T) {
	r := newReceiver(t)
	dials := 0
	c, out := start(t, Config{Addrs: []string{"nobody", r.addr()}, Dial: func(ctx context.Context, addr string) (net.Conn, error) {
		if dials++; addr == "nobody" || dials < 4 {
			return nil, errors.New("refused")
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}}, nil)
	send(t, c, 1, 1)
	p := r.accept()
	p.packets(1)
	p.ack(1)
	out.wait(1)
	mustClose(t, c)
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for _, cfg := range []Config{{}, {Addrs: []string{""}}, {Addrs: []string{"x:1"}, Compression: protocol.S2}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
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

// TestShuffleSpreads: clients with one list begin at every address of it, and
// each still tries them all.
func TestShuffleSpreads(t *testing.T) {
	addrs := []string{"a", "b", "c"}
	first := map[string]int{}
	for range 200 {
		tried := make(chan string, len(addrs))
		c, err := New(Config{Addrs: addrs, Shuffle: true, MinBackoff: 1, MaxBackoff: 1,
			Dial: func(_ context.Context, addr string) (net.Conn, error) {
				select {
				case tried <- addr:
				default:
				}
				return nil, errors.New("nobody there")
			}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go c.SendPacket(ctx, packet(1), 1) // without somebody who waits one dial would be all
		all := map[string]bool{}
		for i := range addrs {
			addr := <-tried
			all[addr] = true
			if i == 0 {
				first[addr]++
			}
		}
		cancel()
		c.Close(ctx)
		if len(all) != len(addrs) {
			t.Fatalf("tried only %v", all)
		}
	}
	if len(first) != len(addrs) {
		t.Errorf("all began at one of %v", first)
	}
	if addrs[0] != "a" || addrs[1] != "b" || addrs[2] != "c" {
		t.Errorf("the caller's list was changed: %v", addrs)
	}
}
