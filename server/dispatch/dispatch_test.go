package dispatch_test

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
	"sluice/server/pump"
)

// TestSplitIsExact: over a million first dispatches each analyzer is within 10
// of its weight, nothing spills and nothing is unaccounted.
func TestSplitIsExact(t *testing.T) {
	w := newWorld(t, dispatch.Defaults(), 40, 30, 20, 10)
	for i := range w.sinks {
		w.up(i)
	}
	total := 1_000_000
	if testing.Short() || dispatch.RaceEnabled {
		total = 100_000
	}
	for sent := 0; sent < total; sent += 1000 {
		w.send("a", 1000, 10)
		for i := range w.sinks {
			w.ack(i, 1<<20)
			w.sinks[i].received = w.sinks[i].received[:0]
		}
	}
	n := w.check()
	if n.Delivered != uint64(total) || n.Spilled != 0 {
		t.Fatalf("delivered %d of %d, spilled %d", n.Delivered, total, n.Spilled)
	}
	for i, weight := range w.weights {
		want := float64(total) * weight / 100
		if off := float64(n.Analyzers[i].Delivered) - want; off > 10 || off < -10 {
			t.Errorf("analyzer %d was given %d, its weight says %.0f", i, n.Analyzers[i].Delivered, want)
		}
	}
}

// TestLinkHeedsItsCredit: an analyzer is written what it gave credit for, which the
// world checks, and all of it; also if it gave more than anybody can count.
func TestLinkHeedsItsCredit(t *testing.T) {
	cfg := dispatch.Defaults()
	cfg.HandOverMin = cfg.LinkWindowFrames // so that credit alone counts
	for _, window := range []uint64{1, 1000, math.MaxUint64} {
		w := newWorld(t, cfg, 1)
		w.window = window
		w.up(0)
		w.send("a", protocol.FirstCreditFrames, 10)
		w.send("b", protocol.FirstCreditFrames, 10)
		want := uint64(protocol.FirstCreditFrames)
		if window == math.MaxUint64 {
			want *= 2
		}
		if got := w.sinks[0].number; got != want {
			t.Errorf("credit %d: %d frames were written, want %d", window, got, want)
		}
		for range 2 * protocol.FirstCreditFrames {
			if w.sinks[0].acked == w.sinks[0].number {
				break
			}
			w.ack(0, 1<<20)
		}
		if n := w.check(); n.Delivered != 2*protocol.FirstCreditFrames {
			t.Errorf("credit %d: %d frames were delivered", window, n.Delivered)
		}
	}
}

// TestSlowAnalyzerDoesNotStallTheOthers is C4's principle: of four analyzers
// one acknowledges a hundred times slower. What the sessions get through must
// be at least 90 % of what the other three can take.
func TestSlowAnalyzerDoesNotStallTheOthers(t *testing.T) {
	w := newWorld(t, dispatch.Defaults(), 25, 25, 25, 25)
	for i := range w.sinks {
		w.up(i)
	}
	const (
		step      = 5 * time.Millisecond
		perStep   = 200 // frames that a fast analyzer acknowledges in a step
		warm, run = 400, 2000
	)
	var before uint64
	for i := range warm + run {
		if i == warm {
			before = w.check().Delivered
		}
		for _, name := range []string{"a", "b", "c", "d"} {
			a := w.agent(name)
			room := int(max(a.frames, protocol.FirstCreditFrames)) - int(a.sent)
			if room > 0 {
				w.send(name, min(room, 2*perStep), 10)
			}
		}
		for k := range w.sinks {
			n := perStep
			if k == 0 {
				if n = 0; i%100 == 0 {
					n = perStep
				}
			}
			w.ack(k, n)
			w.sinks[k].received = w.sinks[k].received[:0]
		}
		w.now += step
		if i%4 == 0 {
			w.pump.Tick()
		}
	}
	n := w.check()
	got, able := n.Delivered-before, uint64(3*perStep*run)
	t.Logf("delivered %d, the fast three can take %d (%.1f %%), spilled %d", got, able, 100*float64(got)/float64(able), n.Spilled)
	if float64(got) < 0.9*float64(able) {
		t.Errorf("delivered %d, want at least 90 %% of %d", got, able)
	}
}

// TestNoAllocations: a packet's whole way through the core costs none.
func TestNoAllocations(t *testing.T) {
	if dispatch.RaceEnabled {
		t.Skip("the race detector allocates")
	}
	w := newWorld(t, dispatch.Defaults(), 40, 30, 20, 10)
	far := &mutes{w: w}
	for i := range far.links {
		far.links[i] = &mute{}
		far.links[i].conn = w.pump.AddLink(far.links[i], i)
		w.pump.Received(far.links[i].conn, protocol.AppendWelcome(nil, protocol.Welcome{Version: protocol.Version, Server: "sink",
			Frames: 32768, Bytes: 1 << 40, MaxFrame: w.cfg.MaxFrame, Compression: dispatch.Accepted}))
	}
	agent := w.pump.AddAgent(&mute{}, netip.Addr{}, nil)
	var turn, read []byte
	for i := range 1000 {
		turn = append(turn, packet("a", uint64(i), 100)...)
	}
	allocs := testing.AllocsPerRun(100, func() {
		w.now += time.Millisecond
		read = append(read[:0], turn...) // what is borrowed may be destroyed
		w.pump.Received(agent, read)
		far.ack()
	})
	if allocs > 0 {
		t.Errorf("%.1f allocations for a turn of 1,000 packets", allocs)
	}
	if n := w.check(); n.Delivered < 90_000 {
		t.Fatalf("only %d delivered: the test did not do what it says", n.Delivered)
	}
}

// mute is a transport that counts what is written to it, in frames.
type mute struct {
	conn   *pump.Conn
	frames uint64
}

func (m *mute) Write(p []byte) {
	for ; len(p) > 0; p = p[protocol.HeaderSize+int(protocol.FrameLength(p)):] {
		if !protocol.IsControl(p[protocol.HeaderSize]) {
			m.frames++
		}
	}
}
func (m *mute) Full() bool  { return false }
func (m *mute) CloseWrite() {}
func (m *mute) Close()      {}

// mutes acknowledge all that they were written.
type mutes struct {
	w     *world
	links [4]*mute
	out   []byte
}

func (m *mutes) ack() {
	for more := true; more; {
		more = false
		for _, l := range m.links {
			was := l.frames
			m.out = protocol.AppendAck(m.out[:0], l.frames, l.frames+32768, 1<<40)
			m.w.pump.Received(l.conn, m.out)
			more = more || l.frames != was
		}
	}
}

// TestBadLengthCostsNoMemory is A3 in the core: 1,000 sessions that declare
// what cannot be leave nothing behind.
func TestBadLengthCostsNoMemory(t *testing.T) {
	for _, length := range [][]byte{{0, 0, 0, 0}, {0, 0x10, 0, 1}, {0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff}} {
		w := newWorld(t, dispatch.Defaults(), 1)
		_, _, before := w.core.Held()
		for range 1000 {
			a := w.newAgent("bad")
			a.sent = 1
			w.receive(a, length)
			if !a.closed || a.nacked[1] != protocol.NackTooLarge {
				t.Fatalf("length %x: closed %v, answers %v", length, a.closed, a.lines)
			}
		}
		if used := w.shared.Budget.Used(); used != 0 {
			t.Errorf("length %x: %d bytes are still charged", length, used)
		}
		if _, _, slots := w.core.Held(); slots != before+1 {
			t.Errorf("length %x: %d slots for connections that came one after the other", length, slots-before)
		}
	}
}

// TestDeclaredLengthIsNotBelieved: a session that declares a large frame and
// sends a little of it is charged for the little.
func TestDeclaredLengthIsNotBelieved(t *testing.T) {
	w := newWorld(t, dispatch.Defaults(), 1)
	a := w.agent("a")
	w.receive(a, []byte{0, 0x10, 0, 0, 0x83, 0xa9})
	if used := w.shared.Budget.Used(); used > 4096 {
		t.Errorf("%d bytes charged for 6 received", used)
	}
	w.leave(a)
	if used := w.shared.Budget.Used(); used > 4096 {
		t.Errorf("%d bytes charged after the session is gone", used)
	}
}

// TestOutOfBudget: without memory a frame is refused from its header, its body
// is discarded as it arrives, and the next one is found again.
func TestOutOfBudget(t *testing.T) {
	cfg := dispatch.Defaults()
	cfg.ByteBudget = 8 << 10
	w := newWorld(t, cfg, 1)
	a := w.agent("a")
	big := packet("a", 1, 500_000)
	a.sent = 1
	for at := 0; at < len(big); at += 10_000 {
		w.receive(a, big[at:min(at+10_000, len(big))])
		w.check()
	}
	if a.nacked[1] != protocol.NackBusy || a.closed {
		t.Fatalf("answers %v, closed %v", a.lines, a.closed)
	}
	w.receive(a, protocol.AppendPing(nil, 7))
	if last := a.lines[len(a.lines)-1]; last != "PONG 07" {
		t.Errorf("after the refused body the stream is lost: %v", a.lines)
	}
}

// TestAffinity: with --route agent all packets of an agent reach one analyzer.
func TestAffinity(t *testing.T) {
	cfg := dispatch.Defaults()
	cfg.Route = dispatch.RouteAgent
	w := newWorld(t, cfg, 40, 30, 20, 10)
	for i := range w.sinks {
		w.up(i)
	}
	for _, name := range []string{"a", "b", "c"} {
		used := 0
		w.send(name, 20, 10) // three agents at one analyzer are within the hand-over limit
		for _, s := range w.sinks {
			if len(s.received) == 20 {
				used++
			} else if len(s.received) != 0 {
				t.Errorf("agent %s: %d of its packets at one analyzer", name, len(s.received))
			}
			s.received = nil
		}
		if used != 1 {
			t.Errorf("agent %s reached %d analyzers", name, used)
		}
	}
}

// TestSmallCreditIsToldWhenItIsNeeded: credit that was too little to be worth
// an ACK reaches the sender as soon as it has used up the rest, although
// nothing more settles: the first frame's analyzer never answers.
func TestSmallCreditIsToldWhenItIsNeeded(t *testing.T) {
	cfg := dispatch.Defaults()
	cfg.MaxFrame = 4096
	w := newWorld(t, cfg, 1, 1)
	w.up(0)
	w.up(1)
	w.send("a", 20, 10)
	slow := 0
	if w.sinks[1].received[0] == "a/1" {
		slow = 1
	}
	w.ack(1-slow, 1<<20) // about ten frames, none of them the first
	a := w.agents["a"]
	if a.upTo != 0 || len(a.lines) != 0 {
		t.Fatalf("the first frame is not settled, and the agent heard %v", a.lines)
	}
	w.send("a", protocol.FirstCreditFrames-20, 10)
	if a.frames <= protocol.FirstCreditFrames {
		t.Errorf("all credit is used, %d frames have settled, and the agent heard %v", w.check().Delivered, a.lines)
	}
}
