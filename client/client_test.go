package client

import (
	"context"
	"errors"
	"testing"
	"time"

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

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for _, cfg := range []Config{{}, {Addrs: []string{""}}, {Addrs: []string{"x:1"}, Compression: protocol.S2}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
