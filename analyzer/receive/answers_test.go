package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/protocol"
)

// What a sender writes, and what it must read, frame by frame.
func TestAnswers(t *testing.T) {
	big := frame(bytes.Repeat([]byte{0xc0}, 100))
	badMap := frame([]byte{0x81, 0xa1, 'x', 0xc0})
	second := func(op byte, rest ...byte) []byte {
		return frame(append([]byte{0x90 | byte(1+len(rest)), op}, rest...))
	}
	for _, c := range []struct {
		name  string
		write [][]byte
		want  []string
	}{
		{"no hello", [][]byte{packet("a"), packet("b")}, []string{"ack 2"}},
		{"hello", [][]byte{hello(), packet("a")}, []string{"welcome", "ack 1"}},
		{"no messages", [][]byte{frame(body("a", 0))}, []string{"ack 1"}},
		{"invalid", [][]byte{packet("a"), badMap, big, packet("b"), frame([]byte{0xc1})},
			[]string{"nack 2+1 invalid", "nack 3+1 invalid", "nack 5+1 invalid", "ack 5"}},
		{"ping between", [][]byte{hello(), protocol.AppendPing(nil, 7)}, []string{"welcome", "pong 07"}},
		{"unknown opcode", [][]byte{second(99), packet("a")}, []string{"ack 1"}},
		{"pong is ignored", [][]byte{second(6, 1), packet("a")}, []string{"ack 1"}},
		{"second hello", [][]byte{hello(), hello()}, []string{"welcome", "goaway 1", "EOF"}},
		{"hello after a ping", [][]byte{protocol.AppendPing(nil, 1), hello()}, []string{"pong 01", "goaway 1", "EOF"}},
		{"old version", [][]byte{protocol.AppendHello(nil, protocol.Hello{Version: 0})}, []string{"goaway 1", "EOF"}},
		{"newer version", [][]byte{protocol.AppendHello(nil, protocol.Hello{Version: 9})}, []string{"welcome"}},
		{"ack from a sender", [][]byte{protocol.AppendAck(nil, 1, 2, 3)}, []string{"goaway 1", "EOF"}},
		{"nack from a sender", [][]byte{protocol.AppendNack(nil, 1, protocol.NackBusy, 0, "", 1)}, []string{"goaway 1", "EOF"}},
		{"welcome from a sender", [][]byte{protocol.AppendWelcome(nil, protocol.Welcome{Version: 1})}, []string{"goaway 1", "EOF"}},
		{"goaway from a sender", [][]byte{protocol.AppendGoaway(nil, protocol.GoawayDrain, "")}, []string{"goaway 1", "EOF"}},
		{"malformed control", [][]byte{frame([]byte{0x92})}, []string{"goaway 1", "EOF"}},
		{"empty array", [][]byte{frame([]byte{0x90})}, []string{"goaway 1", "EOF"}},
		{"long control", [][]byte{frame(append([]byte{0xdc, 0x13, 0x88}, make([]byte, 5000)...))}, []string{"goaway 1", "EOF"}},
		{"length 0", [][]byte{{0, 0, 0, 0}}, []string{"nack 1+1 too_large", "ack 1", "goaway 1", "EOF"}},
		{"length max+1", [][]byte{{0, 0x10, 0, 1}}, []string{"nack 1+1 too_large", "ack 1", "goaway 1", "EOF"}},
		{"length 4 G and more input", [][]byte{{255, 255, 255, 255}, make([]byte, 300000)}, []string{"nack 1+1 too_large", "ack 1", "goaway 1", "EOF"}},
		{"http", [][]byte{[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")}, []string{"nack 1+1 too_large", "ack 1", "goaway 1", "EOF"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, addr := start(t, Config{Handler: accept})
			s := dial(t, addr)
			s.write(bytes.Join(c.write, nil))
			var want []string
			want = append(want, c.want...)
			for i, w := range want {
				if strings.HasPrefix(w, "ack ") { // several may come before it
					var n uint64
					fmt.Sscanf(w, "ack %d", &n)
					if others, _ := s.untilAck(n); len(others) > 0 {
						t.Fatalf("%q before %q", others, want[i])
					}
					continue
				}
				s.expect(w)
			}
		})
	}
}

// The ACK of good frames that precede a violation still arrives.
func TestLastWordsIncludeTheAck(t *testing.T) {
	release := make(chan struct{})
	_, addr := start(t, Config{Handler: func(*Packet) error { <-release; return nil }})
	s := dial(t, addr)
	s.write(packets(10), []byte{0, 0, 0, 0}, make([]byte, 100000))
	s.expect("nack 11+1 too_large", "goaway 1")
	close(release)
	if others, _ := s.untilAck(11); len(others) != 0 {
		t.Fatal(others)
	}
	s.expect("EOF")
}

func TestHandlerVerdicts(t *testing.T) {
	_, addr := start(t, Config{Handler: func(p *Packet) error {
		switch string(p.ID) {
		case "busy":
			return fmt.Errorf("wrapped: %w", &Refusal{Code: protocol.NackBusy, RetryAfter: 1500 * time.Millisecond, Text: "later"})
		case "error":
			return errors.New("disk on fire")
		case "panic":
			panic("oh no")
		}
		var decoded protocol.LogPacket
		if err := p.Decode(&decoded); err != nil || decoded.PacketID != string(p.ID) || len(decoded.Messages) != p.Messages {
			t.Errorf("Decode: %v, %+v", err, decoded)
		}
		return nil
	}})
	s := dial(t, addr)
	s.write(packet("fine"), packet("busy"), packet("error"), packet("panic"), packet("fine too"))
	var nacks []protocol.Control
	for {
		c, ok := s.next()
		if !ok {
			t.Fatal("the connection ended")
		}
		if c.Op == protocol.OpNack {
			c.Text = bytes.Clone(c.Text)
			nacks = append(nacks, c)
		} else if c.N == 5 {
			break
		}
	}
	if len(nacks) != 3 {
		t.Fatalf("%+v", nacks)
	}
	if n := nacks[0]; n.N != 2 || n.Code != uint8(protocol.NackBusy) || n.RetryAfter != 1500*time.Millisecond || string(n.Text) != "later" {
		t.Errorf("%+v", n)
	}
	if n := nacks[1]; n.N != 3 || n.Code != uint8(protocol.NackUnavailable) || string(n.Text) != "disk on fire" {
		t.Errorf("%+v", n)
	}
	if n := nacks[2]; n.N != 4 || n.Code != uint8(protocol.NackUnavailable) {
		t.Errorf("%+v", n)
	}
}

// flusher is a session whose flush the test decides about.
type flusher struct {
	flush   func() error
	packets int
	ended   chan struct{}
}

func (f *flusher) Packet(*Packet) error { f.packets++; return nil }
func (f *flusher) Invalid(error)        {}
func (f *flusher) Flush() error         { return f.flush() }
func (f *flusher) End()                 { close(f.ended) }

func TestAFailedFlushIsANackOfTheBatch(t *testing.T) {
	fail := true
	f := &flusher{ended: make(chan struct{})}
	f.flush = func() error {
		if fail {
			return errors.New("disk full")
		}
		return nil
	}
	_, addr := start(t, Config{NewSession: newOf(f)})
	s := dial(t, addr)
	s.write(packet("a"))
	s.expect("nack 1+1 unavailable", "ack 1")
	fail = false
	s.write(packet("b"))
	s.expect("ack 2")
	s.nc.Close()
	<-f.ended
}

// Compressed frames reach the handler inflated; what cannot be is invalid.
func TestCompressedFrames(t *testing.T) {
	plain := body("zipped", 50)
	_, addr := start(t, Config{Handler: func(p *Packet) error {
		if !bytes.Equal(p.Body, plain) || p.Messages != 50 {
			return errors.New("not what was sent")
		}
		return nil
	}})
	s := dial(t, addr)
	s.write(hello())
	s.expect("welcome")
	for _, kind := range []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip} {
		s.write(frame(protocol.NewCompressor(kind).Append(nil, plain)))
	}
	bomb := protocol.NewCompressor(protocol.Zstd).Append(nil, make([]byte, 64<<20))
	s.write(frame(bomb), frame([]byte{0xd4, 1, 0}), frame([]byte{0xd4, 77, 0}))
	others, _ := s.untilAck(6)
	if strings.Join(others, ",") != "nack 4+1 invalid,nack 5+1 invalid,nack 6+1 invalid" &&
		strings.Join(others, ",") != "nack 4+3 invalid" && len(others) != 2 {
		t.Fatal(others)
	}
}

func TestConfigTellsEveryFault(t *testing.T) {
	_, err := New(Config{Discard: true, Handler: accept, WindowFrames: 5, WindowBytes: 5, MaxFrame: -1, Delay: -1})
	for _, word := range []string{"exactly one", "WindowFrames", "WindowBytes", "MaxFrame", "Delay"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v says nothing of %s", err, word)
		}
	}
}

func TestServeAfterShutdownEnds(t *testing.T) {
	s, _ := start(t, Config{Handler: accept})
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
}
