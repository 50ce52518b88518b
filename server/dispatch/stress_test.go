package dispatch_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
	"sluice/server/pump"
	"sluice/server/stage"
	"sluice/server/wire"
)

// These are faults that reviewers found in real processes; each failed before
// its mend.

// TestFullBudgetDrains: a queue that has used up the whole byte budget is
// emptied as soon as an analyzer comes, although moving a frame copies it.
func TestFullBudgetDrains(t *testing.T) {
	cfg := dispatch.Defaults()
	cfg.ByteBudget = 4 * stage.ChunkBytes
	w := newWorld(t, cfg, 1, 1)
	w.send("a", 1000, 2000)
	n := w.check()
	if n.Queued == 0 || n.Queued == 1000 {
		t.Fatalf("the budget should be full: %d of 1,000 wait", n.Queued)
	}
	w.up(0)
	w.up(1)
	for range 100 {
		w.advance(dispatch.TickEvery)
		w.ack(0, 1<<20)
		w.ack(1, 1<<20)
		w.check()
	}
	if after := w.check(); after.Delivered != n.Queued || after.Queued != 0 {
		t.Errorf("%d waited, %d were delivered, %d still wait", n.Queued, after.Delivered, after.Queued)
	}
}

// TestCutControlFrameIsNeverNumbered: out of memory, a control frame that was
// cut is not taken for data, which would shift every later number.
func TestCutControlFrameIsNeverNumbered(t *testing.T) {
	ping := protocol.AppendPing(nil, 1<<40)
	for cut := 1; cut < len(ping); cut++ {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			cfg := dispatch.Defaults()
			cfg.ByteBudget = 1
			w := newWorld(t, cfg, 1)
			a := w.agent("a")
			w.receive(a, ping[:cut])
			w.receive(a, ping[cut:])
			if a.source().Number() != 0 || len(a.nacked) != 0 {
				t.Errorf("a PING cut after %d bytes was numbered: %v", cut, a.lines)
			}
			if cut > protocol.HeaderSize && !a.closed {
				t.Errorf("no memory for it, and the agent heard %v", a.lines)
			}
			w.check()
		})
	}
}

// TestNothingWaitsBehindBusy: what was not written to an analyzer that says
// busy goes to the other one.
func TestNothingWaitsBehindBusy(t *testing.T) {
	w := newWorld(t, dispatch.Defaults(), 1, 1)
	w.up(0)
	w.up(1)
	w.send("a", 4000, 10)
	handed, held, _ := w.core.Links()[0].Window()
	if handed >= held {
		t.Fatal("everything was written: nothing is left to wait")
	}
	busy := protocol.AppendNack(nil, 1, protocol.NackBusy, 10*time.Second, "", uint64(handed))
	busy = protocol.AppendAck(busy, uint64(handed), 1<<20, 1<<40)
	w.answer(0, busy)
	for range 50 {
		w.ack(1, 1<<20)
		w.advance(dispatch.TickEvery)
	}
	if n := w.check(); n.Delivered != 4000 {
		t.Errorf("%d of 4,000 delivered while one analyzer is busy for 10 s", n.Delivered)
	}
}

// TestOurOwnPauseIsNobodysSilence: after the loop itself stood still, healthy
// analyzers keep their links.
func TestOurOwnPauseIsNobodysSilence(t *testing.T) {
	w := newWorld(t, dispatch.Defaults(), 1, 1)
	w.up(0)
	w.up(1)
	w.advance(time.Second)
	w.send("a", 100, 10)
	w.now += 5 * time.Second // and the ACKs lie unread in the sockets
	w.pump.Tick()
	w.ack(0, 1<<20)
	w.ack(1, 1<<20)
	w.advance(100 * time.Millisecond)
	if n := w.check(); n.Delivered != 100 || n.Redispatched != 0 || n.Analyzers[0].Links != 1 || n.Analyzers[1].Links != 1 {
		t.Errorf("after a pause of 5 s: %+v", n)
	}
	// And a real silence is still noticed.
	w.send("a", 10, 10)
	w.advance(1500 * time.Millisecond)
	if n := w.check(); n.Analyzers[0].Links+n.Analyzers[1].Links != 0 {
		t.Errorf("silent analyzers keep their links: %+v", n)
	}
}

// TestManyNacksToOneWhoReads: answers that do not merge are no reason to hang
// up on a sender that reads; on one that does not, they are.
func TestManyNacksToOneWhoReads(t *testing.T) {
	w := newWorld(t, dispatch.Defaults(), 1)
	w.up(0)
	w.core.SetHandOverMin(1 << 20)
	w.send("a", 4000, 10)
	var nacks []byte
	for n := uint64(1); n <= 4000; n += 2 {
		nacks = protocol.AppendNack(nacks, n, protocol.NackInvalid, 0, "sixty-five bytes of text that tell what is wrong with this packet", 1)
	}
	nacks = protocol.AppendAck(nacks, 4000, 1<<20, 1<<40)
	w.answer(0, nacks)
	a := w.agents["a"]
	if a.closed || a.upTo != 4000 || len(a.nacked) != 2000 {
		t.Errorf("closed %v, acknowledged up to %d, %d refusals", a.closed, a.upTo, len(a.nacked))
	}
	w.check()
}

// TestPingEcho: x comes back as it was up to 64 bytes; a longer one is a
// protocol error, as docs/PROTOCOL.md says.
func TestPingEcho(t *testing.T) {
	ping := func(text int) []byte { // x is a str 8 of two bytes more
		x := append([]byte{0xd9, byte(text)}, make([]byte, text)...)
		return protocol.AppendFrame(nil, append([]byte{0x92, byte(protocol.OpPing)}, x...))
	}
	w := newWorld(t, dispatch.Defaults(), 1)
	a := w.agent("a")
	w.receive(a, ping(62))
	if want := fmt.Sprintf("PONG d93e%0124d", 0); a.closed || len(a.lines) != 1 || a.lines[0] != want {
		t.Errorf("64 bytes: closed %v, heard %v", a.closed, a.lines)
	}
	w.receive(a, ping(63))
	if !a.closed {
		t.Errorf("65 bytes: heard %v", a.lines)
	}
}

// TestInvalidFramesAreNoFloodOfAnswers is a sender of frames that settle at
// once, with answers that do not merge, in one read after the other, that
// never reads: it is hung up on, and what it costs is charged and given back.
func TestInvalidFramesAreNoFloodOfAnswers(t *testing.T) {
	w := newWorld(t, dispatch.Defaults(), 1)
	w.up(0)
	a := w.agent("a")
	a.deaf = true
	var data []byte
	for range 20_000 { // as much as one read takes
		data = append(data, protocol.AppendFrame(nil, []byte{0xc3})...)
		data = append(data, protocol.AppendFrame(nil, []byte{0x81, 0xc3, 0xc3})...)
	}
	most := int64(0)
	for range 10 {
		if a.closed {
			break
		}
		a.sent += 40_000
		w.pump.Do(func(*pump.Pump) {
			a.conn.Agent().Receive(data)
			most = max(most, w.shared.Budget.Used())
		})
	}
	if !a.closed {
		t.Error("it was never hung up on")
	}
	if most == 0 || most > 1<<20 {
		t.Errorf("its answers took up to %d bytes of the budget", most)
	}
	if used := w.shared.Budget.Used(); used != 0 {
		t.Errorf("%d bytes are still charged", used)
	}
}

// TestSlowIsNotLate: a limit is on progress. A frame that drips in at 200 bytes a
// second is taken in the end, one at 100 is not.
func TestSlowIsNotLate(t *testing.T) {
	for _, rate := range []int{200, 100} {
		w := newWorld(t, dispatch.Defaults(), 1)
		a := w.agent("a")
		a.sent = 1
		frame := packet("a", 1, 20_000)
		for at := 0; at < len(frame) && !a.closed; at += rate {
			w.receive(a, frame[at:min(at+rate, len(frame))])
			w.advance(time.Second)
		}
		if want := rate < dispatch.FloorRate; a.closed != want {
			t.Errorf("%d bytes a second: hung up on is %v, want %v", rate, a.closed, want)
		}
		if n := w.check(); n.Queued != uint64(rate/200) {
			t.Errorf("%d bytes a second: %d frames were taken", rate, n.Queued)
		}
	}
}

// TestASlowLinkIsNotStuck: an analyzer that says nothing while our bytes are still
// on their way to it is not silent; when they have arrived, it is.
func TestASlowLinkIsNotStuck(t *testing.T) {
	w := newWorld(t, dispatch.Defaults(), 1)
	w.up(0)
	w.send("a", 100, 1000)
	w.sinks[0].transit = 1000
	for range 600 { // a minute, far beyond the limits for silence and for progress
		w.sinks[0].reached += 10
		w.advance(100 * time.Millisecond)
	}
	if n := w.check(); n.Analyzers[0].Links != 1 || n.Redispatched != 0 {
		t.Fatalf("given up while bytes were on their way: %+v", n)
	}
	w.advance(3 * time.Second) // no byte arrives any more, and none comes back
	if n := w.check(); n.Analyzers[0].Links != 0 {
		t.Error("a stuck link is kept")
	}
}

// TestArrivingPINGsAreNoExcuse: an analyzer that answers PINGs and acknowledges
// nothing is given up, although bytes of ours keep arriving.
func TestArrivingPINGsAreNoExcuse(t *testing.T) {
	w := newWorld(t, dispatch.Defaults(), 1)
	w.up(0)
	w.send("a", 10, 100)
	for range 150 {
		w.sinks[0].reached += 15 // a PING
		w.answer(0, protocol.AppendPong(nil, []byte{1}))
		w.advance(100 * time.Millisecond)
	}
	if n := w.check(); n.Analyzers[0].Links != 0 {
		t.Error("kept for 15 s without an ACK")
	}
}

// TestUnavailablePausesTheFrame: an analyzer that cannot take one packet now is
// given others meanwhile.
func TestUnavailablePausesTheFrame(t *testing.T) {
	w := newWorld(t, dispatch.Defaults(), 1)
	w.up(0)
	w.send("a", 1, 10)
	w.answer(0, protocol.AppendNack(nil, 1, protocol.NackUnavailable, 5*time.Second, "its index is locked", 1))
	w.answer(0, protocol.AppendAck(nil, 1, 1<<20, 1<<40))
	w.sinks[0].acked = 1
	w.send("a", 10, 10)
	w.ack(0, 10)
	if n := w.check(); n.Delivered != 10 || n.Queued != 1 {
		t.Errorf("%d of 10 others were delivered, %d wait", n.Delivered, n.Queued)
	}
	w.advance(4 * time.Second)
	if got := w.sinks[0].number; got != 11 {
		t.Errorf("it was tried again too early: %d frames were written", got)
	}
	w.advance(2 * time.Second)
	w.ack(0, 1)
	if n := w.check(); n.Delivered != 11 {
		t.Errorf("%d of 11 were delivered", n.Delivered)
	}
}

// TestInflatingIsChargedToItsSender: packets that inflate to ten thousand times
// their size are worked off in turns; others are served in between, and each of
// them is answered in the end, in order.
func TestInflatingIsChargedToItsSender(t *testing.T) {
	const bombs = 20
	w := newWorld(t, dispatch.Defaults(), 1)
	w.up(0)
	body := protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "bomb", AgentID: "a", Messages: []protocol.LogMessage{
		{Level: protocol.LevelInfo, Source: "s", Message: strings.Repeat("x", 1<<20-200)}}})
	bomb := protocol.AppendFrame(nil, protocol.NewCompressor(protocol.Zstd).Append(nil, body))
	a := w.agent("a")
	a.sent = bombs
	data := bytes.Repeat(bomb, bombs)
	w.receive(a, data[:len(data)-10])
	if n := w.check(); n.Received > 2 {
		t.Errorf("%d bombs were worked off in one turn", n.Received)
	}
	w.send("b", 1, 10)
	if got := w.sinks[0].received; got[len(got)-1] != "b/1" {
		t.Errorf("another agent waits behind bombs: the analyzer has %q", got)
	}
	w.receive(a, data[len(data)-10:]) // comes behind what waits
	for range bombs + 2 {
		w.advance(dispatch.TickEvery)
		w.ack(0, 1<<20)
		w.check()
	}
	if n := w.check(); n.Received != bombs+1 || n.Delivered != bombs+1 || a.upTo != bombs {
		t.Errorf("%d of %d came, %d were delivered, the agent was acknowledged %d", n.Received, bombs+1, n.Delivered, a.upTo)
	}
	w.leave(a)
	if used := w.shared.Budget.Used(); used > stage.ChunkBytes+wire.Overdraft {
		t.Errorf("%d bytes are still charged", used)
	}
}
