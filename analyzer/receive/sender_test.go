package receive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/protocol"
)

// patience is how long a test waits for what must come; nothing is expected
// to take anywhere near it.
const patience = time.Minute

// sender is a bare sender: it writes what it is told and hands out the control
// frames that come back.
type sender struct {
	t  *testing.T
	nc net.Conn
	in *protocol.FrameReader
}

// start serves cfg on a loopback port until the test ends, and checks that
// nothing is left running.
func start(t *testing.T, cfg Config) (*Server, string) {
	t.Helper()
	before := runtime.NumGoroutine()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
				return
			}
		}
	})
	return s, ln.Addr().String()
}

func dial(t *testing.T, addr string) *sender {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return &sender{t: t, nc: nc, in: protocol.NewFrameReader(nc, protocol.DefaultMaxFrame)}
}

func (s *sender) write(frames ...[]byte) {
	s.t.Helper()
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	if _, err := s.nc.Write(all); err != nil {
		s.t.Fatal(err)
	}
}

// next returns the next control frame; false at the end of the stream.
func (s *sender) next() (protocol.Control, bool) {
	s.t.Helper()
	body, err := s.in.Next()
	if errors.Is(err, io.EOF) {
		return protocol.Control{}, false
	}
	if err != nil {
		s.t.Fatalf("reading an answer: %v", err)
	}
	var c protocol.Control
	if err := protocol.ParseControl(body, &c); err != nil {
		s.t.Fatalf("answer %x: %v", body, err)
	}
	return c, true
}

// expect reads answers and compares their short forms.
func (s *sender) expect(want ...string) {
	s.t.Helper()
	for i, w := range want {
		c, ok := s.next()
		got := "EOF"
		if ok {
			got = short(c)
		}
		if got != w {
			s.t.Fatalf("answer %d is %q, want %q", i, got, w)
		}
	}
}

// untilAck reads answers until an ACK of n, which must be the largest, and
// returns the short forms of all but the ACKs, and the last ACK.
func (s *sender) untilAck(n uint64) (others []string, last protocol.Control) {
	s.t.Helper()
	for {
		c, ok := s.next()
		if !ok {
			s.t.Fatalf("the stream ended before ACK %d; last %+v", n, last)
		}
		if c.Op != protocol.OpAck {
			others = append(others, short(c))
			continue
		}
		if c.N < last.N || c.N > n {
			s.t.Fatalf("ACK %d after %d, waiting for %d", c.N, last.N, n)
		}
		if last = c; c.N == n {
			return others, last
		}
	}
}

func short(c protocol.Control) string {
	switch c.Op {
	case protocol.OpAck:
		return fmt.Sprintf("ack %d", c.N)
	case protocol.OpNack:
		return fmt.Sprintf("nack %d+%d %s", c.N, c.Count, protocol.NackCode(c.Code))
	case protocol.OpGoaway:
		return fmt.Sprintf("goaway %d", c.Code)
	case protocol.OpPong:
		return fmt.Sprintf("pong %x", c.Echo)
	case protocol.OpWelcome:
		return "welcome"
	}
	return fmt.Sprintf("op %d", c.Op)
}

func body(id string, messages int) []byte {
	p := protocol.LogPacket{PacketID: id, AgentID: "tester"}
	for i := range messages {
		p.Messages = append(p.Messages, protocol.LogMessage{Level: protocol.LevelInfo, Source: "test", Message: fmt.Sprint("message ", i)})
	}
	return protocol.AppendPacket(nil, &p)
}

func frame(body []byte) []byte { return protocol.AppendFrame(nil, body) }

func packet(id string) []byte { return frame(body(id, 1)) }

func hello() []byte {
	return protocol.AppendHello(nil, protocol.Hello{Version: protocol.Version, Agent: "tester"})
}

func packets(n int) []byte {
	var all []byte
	for i := range n {
		all = append(all, packet(fmt.Sprintf("p-%d", i+1))...)
	}
	return all
}

func accept(*Packet) error { return nil }

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func has(list []string, want string) bool {
	for _, s := range list {
		if strings.HasPrefix(s, want) {
			return true
		}
	}
	return false
}
