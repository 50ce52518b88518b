package receive

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/protocol"
)

func newOf(s Session) func(net.Addr) Session {
	return func(net.Addr) Session { return s }
}

// A gate is a handler that waits until it is opened.
type gate struct {
	open    chan struct{}
	entered chan struct{}
	handled atomic.Int64
	once    sync.Once
}

func newGate() *gate { return &gate{open: make(chan struct{}), entered: make(chan struct{}, 1)} }

func (g *gate) release() { g.once.Do(func() { close(g.open) }) }

func (g *gate) handle(*Packet) error {
	select {
	case g.entered <- struct{}{}:
	default:
	}
	<-g.open
	g.handled.Add(1)
	return nil
}

// No ACK before the handler has returned; PING is answered meanwhile.
func TestAckFollowsTheHandler(t *testing.T) {
	g := newGate()
	_, addr := start(t, Config{Handler: g.handle})
	t.Cleanup(g.release)
	s := dial(t, addr)
	s.write(hello(), packets(3))
	<-g.entered
	s.write(protocol.AppendPing(nil, 5), packet("later"), protocol.AppendPing(nil, 6))
	s.expect("welcome", "pong 05", "pong 06")
	if n := g.handled.Load(); n != 0 {
		t.Fatalf("%d handled", n)
	}
	g.release()
	s.untilAck(4)
	if n := g.handled.Load(); n != 4 {
		t.Fatalf("%d handled at the last ACK", n)
	}
}

func TestCreditIsSettledPlusWindow(t *testing.T) {
	_, addr := start(t, Config{Handler: accept, WindowFrames: 5000, WindowBytes: 5 << 20})
	s := dial(t, addr)
	s.write(hello())
	w, _ := s.next()
	if w.Op != protocol.OpWelcome || w.Welcome.Frames != 5000 || w.Welcome.Bytes != 5<<20 || w.Welcome.MaxFrame != protocol.DefaultMaxFrame || len(w.Welcome.Compression) != 3 {
		t.Fatalf("%+v", w)
	}
	all := packets(10)
	s.write(all)
	if _, ack := s.untilAck(10); ack.Frames != 5010 || ack.Bytes != 5<<20+uint64(len(all)) {
		t.Fatalf("%+v", ack)
	}
}

// Past the credit: busy as far as one more window, then GOAWAY 4. What was
// within the credit is still handled and acknowledged.
func TestOverflow(t *testing.T) {
	const window = protocol.FirstCreditFrames
	for _, c := range []struct {
		frames, busy int
		goaway       bool
	}{
		{window, 0, false},
		{window + 1, 1, false},
		{2 * window, window, false},
		{2*window + 1, window, true},
	} {
		t.Run(fmt.Sprint(c.frames), func(t *testing.T) {
			g := newGate()
			_, addr := start(t, Config{Handler: g.handle, WindowFrames: window})
			t.Cleanup(g.release)
			s := dial(t, addr)
			s.write(packets(c.frames), protocol.AppendPing(nil, 1))
			busy := 0
			for {
				a, ok := s.next()
				if !ok {
					t.Fatal("the connection ended")
				}
				if a.Op == protocol.OpNack && a.Code == uint8(protocol.NackBusy) && a.RetryAfter > 0 {
					busy += int(a.Count)
					continue
				}
				if want := map[bool]string{true: "goaway 4", false: "pong 01"}[c.goaway]; short(a) != want {
					t.Fatalf("%s, want %s", short(a), want)
				}
				break
			}
			if busy != c.busy {
				t.Errorf("%d busy, want %d", busy, c.busy)
			}
			g.release()
			last := uint64(0)
			for last < uint64(min(c.frames, 2*window)) {
				a, ok := s.next()
				if !ok {
					t.Fatalf("ended after ACK %d", last)
				}
				last = a.N
			}
			if n := g.handled.Load(); n != window {
				t.Errorf("%d handled, want %d", n, window)
			}
		})
	}
}

// Frames that were refused for want of credit leave a gap; what comes after
// the credit was raised has its right number.
func TestNumbersAfterAGap(t *testing.T) {
	const window = protocol.FirstCreditFrames
	g := newGate()
	refuse := "after-2"
	_, addr := start(t, Config{WindowFrames: window, Handler: func(p *Packet) error {
		if err := g.handle(p); err != nil || string(p.ID) == refuse {
			return &Refusal{Code: protocol.NackInvalid}
		}
		return nil
	}})
	t.Cleanup(g.release)
	s := dial(t, addr)
	s.write(packets(window+3), protocol.AppendPing(nil, 1))
	s.expect(fmt.Sprintf("nack %d+3 busy", window+1), "pong 01")
	g.release()
	s.untilAck(window + 3)
	s.write(packet("after-1"), packet(refuse))
	others, _ := s.untilAck(window + 5)
	if len(others) != 1 || others[0] != fmt.Sprintf("nack %d+1 invalid", window+5) {
		t.Fatal(others)
	}
}

// A sender with nothing unsettled may send one frame of any size.
func TestALargeFrameAlone(t *testing.T) {
	_, addr := start(t, Config{Handler: accept, MaxFrame: 6 << 20, WindowBytes: 4 << 20})
	s := dial(t, addr)
	big := protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "big", AgentID: "a",
		Messages: []protocol.LogMessage{{Level: "INFO", Message: strings.Repeat("x", 5<<20)}}})
	s.write(hello(), frame(big))
	s.expect("welcome", "ack 1")
	s.write(frame(big))
	s.expect("ack 2")
}

// With a delay PONG and NACK come first; the ACK comes, and says all.
func TestDelayHoldsOnlyAcks(t *testing.T) {
	_, addr := start(t, Config{Handler: accept, Delay: 300 * time.Millisecond})
	s := dial(t, addr)
	began := time.Now()
	s.write(hello(), packet("a"), frame([]byte{0x80}), protocol.AppendPing(nil, 9))
	seen := map[string]bool{}
	for range 3 {
		c, _ := s.next()
		seen[short(c)] = true
	}
	if !seen["welcome"] || !seen["pong 09"] || !seen["nack 2+1 invalid"] {
		t.Fatal(seen)
	}
	s.write(packet("b"))
	s.untilAck(3)
	if waited := time.Since(began); waited < 300*time.Millisecond {
		t.Fatalf("acknowledged after %s", waited)
	}
}

// A delayed ACK holds the credit back too.
func TestDelayBoundsWhatIsHeld(t *testing.T) {
	_, addr := start(t, Config{Discard: true, Delay: time.Hour, WindowFrames: protocol.FirstCreditFrames})
	s := dial(t, addr)
	s.write(packets(2*protocol.FirstCreditFrames + 1))
	others := []string{}
	for {
		c, ok := s.next()
		if !ok {
			t.Fatal("the connection ended without a word")
		}
		if others = append(others, short(c)); c.Op == protocol.OpGoaway {
			break
		}
	}
	if !has(others, "nack") || others[len(others)-1] != "goaway 4" {
		t.Fatal(others)
	}
}

func TestDiscardCountsAllAndAcknowledges(t *testing.T) {
	var frames, size atomic.Int64
	_, addr := start(t, Config{Discard: true, Discarded: func(f, b int) { frames.Add(int64(f)); size.Add(int64(b)) }})
	s := dial(t, addr)
	all := bytes.Join([][]byte{packets(1000), frame([]byte{0xc1}), packets(1000)}, nil)
	s.write(hello(), all)
	s.expect("welcome")
	if others, _ := s.untilAck(2001); len(others) != 0 {
		t.Fatal(others)
	}
	if frames.Load() != 2001 || size.Load() != int64(len(all)) {
		t.Fatalf("%d frames, %d bytes; want 2001, %d", frames.Load(), size.Load(), len(all))
	}
}
