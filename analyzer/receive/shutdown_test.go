package receive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"sluice/protocol"
)

// Any cut of the stream gives the same answers.
func TestCutStream(t *testing.T) {
	var stream []byte
	want := 0
	for i := range 300 {
		b := body(fmt.Sprint("cut-", i), i%7)
		if i%10 == 9 {
			b = []byte{0x81, 0xc0, 0xc0}
		} else {
			want++
		}
		stream = append(stream, frame(b)...)
		if i%25 == 0 {
			stream = protocol.AppendPing(stream, uint64(i))
		}
	}
	for _, most := range []int{1, 3, 1000, 64 << 10} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			var handled atomic.Int64
			_, addr := start(t, Config{Handler: func(*Packet) error { handled.Add(1); return nil }})
			s := dial(t, addr)
			rng := rand.New(rand.NewPCG(1, uint64(most)))
			written := make(chan error, 1)
			go func() {
				for rest := stream; len(rest) > 0; {
					n := min(1+rng.IntN(most), len(rest))
					if _, err := s.nc.Write(rest[:n]); err != nil {
						written <- err
						return
					}
					rest = rest[n:]
				}
				written <- nil
			}()
			others, _ := s.untilAck(300)
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			invalid, pongs := 0, 0
			for _, o := range others {
				switch {
				case has([]string{o}, "nack"):
					invalid++
				case has([]string{o}, "pong"):
					pongs++
				}
			}
			if handled.Load() != int64(want) || invalid != 30 || pongs != 12 {
				t.Errorf("%d handled, %d refused, %d pongs; want %d, 30, 12", handled.Load(), invalid, pongs, want)
			}
		})
	}
}

// Complete frames are acknowledged although the next one is cut, and a frame
// that is never finished ends its connection.
func TestHalfAFrame(t *testing.T) {
	_, addr := start(t, Config{Handler: accept, FrameTimeout: 200 * time.Millisecond})
	s := dial(t, addr)
	p := packet("half")
	s.write(packet("whole"), p[:len(p)/2])
	s.expect("ack 1", "goaway 3", "EOF")

	// A FIN or a reset inside a frame ends it too.
	s = dial(t, addr)
	s.write(packet("whole"), p[:3])
	s.expect("ack 1")
	s.nc.(*net.TCPConn).CloseWrite()
	s.expect("EOF")
	s = dial(t, addr)
	s.write(p[:3])
	s.nc.(*net.TCPConn).SetLinger(0)
	s.nc.Close()
}

// What was sent before a sender shut its write side is still answered.
func TestHalfCloseIsAnswered(t *testing.T) {
	_, addr := start(t, Config{Handler: accept, Delay: time.Hour})
	s := dial(t, addr)
	s.write(packets(20))
	s.nc.(*net.TCPConn).CloseWrite()
	s.untilAck(20)
	s.expect("EOF")
}

func TestShutdownSettlesAndSaysGoodbye(t *testing.T) {
	g := newGate()
	srv, addr := start(t, Config{Handler: g.handle, Delay: time.Hour})
	t.Cleanup(g.release)
	s := dial(t, addr)
	s.write(hello(), packets(5))
	s.expect("welcome")
	<-g.entered
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(within(t)) }()
	s.expect("goaway 0")
	s.write(packet("too late"), protocol.AppendPing(nil, 3))
	s.expect("nack 6+1 draining", "pong 03")
	g.release()
	s.untilAck(6)
	s.nc.(*net.TCPConn).CloseWrite() // a polite sender goes
	s.expect("EOF")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := g.handled.Load(); n != 5 {
		t.Errorf("%d handled, want 5", n)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still accepting")
	}
}

// A sender that stays is closed by us, with all its answers.
func TestShutdownDoesNotWaitForSilentSenders(t *testing.T) {
	srv, addr := start(t, Config{Handler: accept, Delay: time.Hour})
	s := dial(t, addr)
	s.write(hello(), packet("a"), protocol.AppendPing(nil, 1))
	s.expect("welcome", "pong 01")
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(within(t)) }()
	others, _ := s.untilAck(1)
	if !has(others, "goaway 0") {
		s.expect("goaway 0")
	}
	s.expect("EOF")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestShutdownIsCutShortByItsContext(t *testing.T) {
	g := newGate()
	srv, addr := start(t, Config{Handler: g.handle})
	t.Cleanup(g.release)
	s := dial(t, addr)
	s.write(packet("stuck"))
	<-g.entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// Close answers nobody, and what waits in the inbox is not handled any more.
func TestCloseCutsOff(t *testing.T) {
	g := newGate()
	srv, addr := start(t, Config{Handler: g.handle})
	t.Cleanup(g.release)
	s := dial(t, addr)
	s.write(packet("first"))
	<-g.entered
	s.write(packets(100), protocol.AppendPing(nil, 1))
	s.expect("pong 01")
	closed := make(chan struct{})
	go func() { srv.Close(); close(closed) }()
	if c, err := s.in.Next(); err == nil {
		t.Fatalf("an answer after Close: %x", c)
	}
	g.release()
	<-closed
	if n := g.handled.Load(); n != 1 {
		t.Errorf("%d handled", n)
	}
}

// flaky is a listener whose first accepts fail.
type flaky struct {
	net.Listener
	left atomic.Int64
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.left.Add(-1) >= 0 {
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestAcceptSurvivesErrors(t *testing.T) {
	srv, _ := start(t, Config{Handler: accept})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &flaky{Listener: ln}
	f.left.Store(3)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(f) }()
	s := dial(t, ln.Addr().String())
	s.write(packet("a"))
	s.expect("ack 1")
	srv.Close()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

// A peer that never reads its answers is given up; its memory is bounded by
// what the kernel takes and one batch of answers.
func TestAPeerThatDoesNotRead(t *testing.T) {
	srv, addr := start(t, Config{Handler: accept, WriteTimeout: 100 * time.Millisecond})
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.(*net.TCPConn).SetReadBuffer(4096)
	nc.SetDeadline(time.Now().Add(patience))
	// PINGs have answers as large as themselves, and cost no credit.
	var pings []byte
	for i := range 10000 {
		pings = protocol.AppendPing(pings, uint64(i))
	}
	for {
		if _, err := nc.Write(pings); err != nil {
			if errors.Is(err, io.ErrShortWrite) || !errors.Is(err, net.ErrClosed) {
				break
			}
		}
	}
	for deadline := time.Now().Add(patience); srv.Connections() > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the connection is still there")
		}
	}
}
