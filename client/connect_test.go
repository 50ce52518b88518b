package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"sluice/protocol"
)

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
		if b := p.next(); !protocol.IsPlain(b[0]) {
			t.Errorf("body begins with %#x", b[0])
		}
		p.ack(1)
		mustClose(t, c)
	})
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
