//go:build linux

package client

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"sluice/protocol"
)

// large returns a packet whose frame is about size bytes.
func large(n, size int) *protocol.LogPacket {
	p := packet(n)
	p.Messages[0].Message = string(make([]byte, size))
	return p
}

// narrow makes the window of what is accepted small, so that bytes which are not
// read wait at the sender.
func (r *receiver) narrow() {
	raw, err := r.ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = setReceiveBuffer(int(fd), 8<<10) }); err != nil {
		r.t.Fatal(err)
	}
}

// A link so slow that one frame takes several times the silence that is allowed
// is not dead while bytes arrive. Nothing comes back meanwhile: PINGs lie behind
// the frame.
func TestASlowLinkIsNotGivenUp(t *testing.T) {
	r := newReceiver(t)
	r.narrow()
	const silence = 2 * time.Second
	c, out := start(t, Config{Addrs: []string{r.addr()}}, func(l *timing) {
		l.tick, l.pingAfter, l.silence = 10*time.Millisecond, 100*time.Millisecond, silence
	})
	p := r.accept()
	p.frames = protocol.NewFrameReader(&trickle{p.nc, 4 << 10, 20 * time.Millisecond}, protocol.DefaultMaxFrame)
	began := time.Now()
	if err := c.SendPacket(t.Context(), large(1, 900<<10), 1); err != nil {
		t.Fatal(err)
	}
	p.packets(1)
	if took := time.Since(began); took < 2*silence {
		t.Skipf("SKIPPED: the frame took only %s, which shows nothing", took)
	}
	p.ack(1)
	if o := out.wait(1); !o.Delivered || o.Resends != 0 {
		t.Errorf("%+v", o)
	}
	mustClose(t, c)
	if s := c.Stats(); s.Connects != 1 || s.TimedOut != 0 {
		t.Errorf("%+v", s)
	}
}

// trickle reads a little at a time.
type trickle struct {
	r     io.Reader
	most  int
	pause time.Duration
}

func (s *trickle) Read(b []byte) (int, error) {
	time.Sleep(s.pause)
	return s.r.Read(b[:min(len(b), s.most)])
}

// A peer that takes nothing is stuck, although it is there.
func TestAStuckLinkIsGivenUp(t *testing.T) {
	r := newReceiver(t)
	r.narrow()
	c, _ := start(t, Config{Addrs: []string{r.addr()}}, func(l *timing) {
		l.tick, l.pingAfter, l.silence = 5*time.Millisecond, 50*time.Millisecond, 500*time.Millisecond
	})
	r.accept()
	if err := c.SendPacket(t.Context(), large(1, 900<<10), 1); err != nil {
		t.Fatal(err)
	}
	p := r.accept() // the next try
	if s := c.Stats(); s.TimedOut != 1 || !errors.Is(s.LastError, errStuck) {
		t.Errorf("%+v", s)
	}
	p.packets(1)
	p.ack(1)
	mustClose(t, c)
}

// With a HELLO on a slow way the receiver has not failed to say WELCOME.
func TestTheWelcomeIsAwaitedFromWhenTheHelloIsThere(t *testing.T) {
	r := newReceiver(t)
	c, _ := start(t, Config{Addrs: []string{r.addr()}, Hello: true, Compression: protocol.Zstd}, func(l *timing) {
		l.tick, l.welcomeWait = 5*time.Millisecond, time.Hour
	})
	p := r.accept()
	p.welcome(protocol.Welcome{Version: 1, Compression: []protocol.Compression{protocol.Zstd}})
	send(t, c, 1, 1)
	p.packets(1)
	p.ack(1)
	p.nothingMore() // it knows now that compression is spoken here
	p.nc.Close()
	c.mu.Lock()
	c.limits.welcomeWait = time.Millisecond
	c.mu.Unlock()
	send(t, c, 2, 2)
	q := r.accept()
	time.Sleep(50 * time.Millisecond) // ten ticks, fifty times the wait
	q.welcome(protocol.Welcome{Version: 1, Compression: []protocol.Compression{protocol.Zstd}})
	q.packets(1)
	q.ack(1)
	mustClose(t, c)
	if n := c.Stats().Connects; n != 2 {
		t.Errorf("%d connections, want 2: one that is merely slow was taken for one that does not compress", n)
	}
}
