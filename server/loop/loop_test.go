package loop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"sluice/internal/await"
	"sluice/protocol"
	"sluice/server/dispatch"
	"sluice/server/pump"
)

func TestPacketsArriveInOrderAndAreAcknowledged(t *testing.T) {
	w := newWorld(t, 1, nil)
	to := w.addAnalyzer(0, true)
	w.weigh(1)
	from := w.addAgent()
	var ids []string
	for i := range 1000 {
		ids = append(ids, fmt.Sprintf("p%d", i))
	}
	from.send(ids...)
	for _, want := range ids {
		if got := await.Value(t, want, to.packets); got != want {
			t.Fatalf("analyzer got %s, want %s", got, want)
		}
	}
	from.awaitAck(1000)
	if n := w.loop.Agents(); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

// What was read of an agent is delivered, whether the agent stays or not.
func TestAnAgentThatCloses(t *testing.T) {
	w := newWorld(t, 1, nil)
	to := w.addAnalyzer(0, false)
	w.weigh(1)
	from := w.addAgent()
	from.send("last")
	if got := await.Value(t, "packet", to.packets); got != "last" {
		t.Fatalf("analyzer got %s", got)
	}
	from.Close()
	await.True(t, "no session left", func() bool { return w.loop.Agents() == 0 })
	to.say(t, ackOf(1)) // nobody is there to hear of it
	await.True(t, "settled", func() bool {
		left := -1
		if err := w.loop.Do(context.Background(), func(p *pump.Pump) { left = p.Core().Unsettled() }); err != nil {
			t.Fatal(err)
		}
		return left == 0
	})
	// The loop lives on.
	next := w.addAgent()
	next.send("next")
	if got := await.Value(t, "packet", to.packets); got != "next" {
		t.Fatalf("analyzer got %s", got)
	}
	to.say(t, ackOf(2))
	next.awaitAck(1)
}

func TestALinkThatDies(t *testing.T) {
	w := newWorld(t, 2, nil)
	dies := w.addAnalyzer(0, false)
	w.weigh(1, 0)
	from := w.addAgent()
	from.send("a", "b")
	await.Value(t, "packet", dies.packets)
	await.Value(t, "packet", dies.packets)

	other := w.addAnalyzer(1, true)
	w.weigh(0, 1)
	dies.Close()
	w.awaitEvent(event{"lost", 0})
	// What it did not acknowledge goes to the other, in order.
	for _, want := range []string{"a", "b"} {
		if got := await.Value(t, want, other.packets); got != want {
			t.Fatalf("the other analyzer got %s, want %s", got, want)
		}
	}
	from.awaitAck(2)

	// The link can be taken up again.
	again := w.addAnalyzer(0, true)
	w.weigh(1, 0)
	from.send("c")
	if got := await.Value(t, "c", again.packets); got != "c" {
		t.Fatalf("the analyzer that is back got %s", got)
	}
	from.awaitAck(3)
}

func TestALinkThatDrains(t *testing.T) {
	w := newWorld(t, 1, nil)
	to := w.addAnalyzer(0, false)
	w.weigh(1)
	from := w.addAgent()
	from.send("a")
	await.Value(t, "packet", to.packets)
	to.say(t, protocol.AppendGoaway(nil, protocol.GoawayDrain, "restart"))
	w.awaitEvent(event{"draining", 0})
	to.say(t, ackOf(1)) // the last answer still counts
	w.awaitEvent(event{"lost", 0})
	from.awaitAck(1)
	if id, open := <-to.packets; open {
		t.Errorf("a draining analyzer was sent %s", id)
	}
}

func TestDrainAndFinish(t *testing.T) {
	w := newWorld(t, 1, nil)
	to := w.addAnalyzer(0, true)
	w.weigh(1)
	from := w.addAgent()
	from.send("a")
	await.Value(t, "packet", to.packets)
	from.awaitAck(1)
	ctx := context.Background()
	if err := w.loop.Do(ctx, (*pump.Pump).Drain); err != nil {
		t.Fatal(err)
	}
	if c := from.next(); c.Op != protocol.OpGoaway || protocol.GoawayCode(c.Code) != protocol.GoawayDrain {
		t.Fatalf("agent was sent %+v, want GOAWAY drain", c)
	}
	from.send("late")
	if c := from.next(); c.Op != protocol.OpNack || c.N != 2 || protocol.NackCode(c.Code) != protocol.NackDraining {
		t.Fatalf("agent was sent %+v, want NACK 2 draining", c)
	}
	from.awaitAck(2)
	finished := make(chan error, 1)
	go func() { finished <- w.loop.Finish(ctx) }()
	from.awaitEnd()
	from.Close()
	if err := await.Value(t, "end of Finish", finished); err != nil {
		t.Error(err)
	}
	if n := w.loop.Agents(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestStopWhileIdle(t *testing.T) {
	w := newWorld(t, 1, nil)
	to, from := w.addAnalyzer(0, true), w.addAgent()
	for range 2 { // may be called again
		if err := w.loop.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	from.awaitEnd()
	if id, open := <-to.packets; open {
		t.Errorf("analyzer was sent %s", id)
	}
	if err := w.loop.Do(context.Background(), func(*pump.Pump) { t.Error("ran on a stopped loop") }); !errors.Is(err, ErrStopped) {
		t.Errorf("Do: %v", err)
	}
	if err := w.loop.Finish(context.Background()); !errors.Is(err, ErrStopped) {
		t.Errorf("Finish: %v", err)
	}
	for name, add := range map[string]func() error{
		"AddAgent": func() error {
			_, theirs := pair(t)
			return w.loop.AddAgent(theirs, func() { t.Error("ended, and never begun") })
		},
		"AddLink": func() error { _, theirs := pair(t); return w.loop.AddLink(0, theirs) },
	} {
		if err := add(); !errors.Is(err, ErrStopped) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.loop.Agents(); n != 0 {
		t.Errorf("%d sessions on a stopped loop", n)
	}
}

// One that goes on sending after it was hung up on is cut off after a bounded
// number of bytes, and not read for as long as it can write.
func TestWhoGoesOnAfterTheLastWordsIsCutOff(t *testing.T) {
	w := newWorld(t, 1, nil)
	a := w.addAgent()
	if _, err := a.Write([]byte{0, 0, 0, 0}); err != nil { // a length that cannot be
		t.Fatal(err)
	}
	junk, written := make([]byte, 256<<10), 0
	for written < 1<<30 {
		n, err := a.Write(junk)
		written += n
		if err != nil {
			break
		}
	}
	// What the kernels hold on both sides comes on top.
	if written > pump.LingerBytes+64<<20 {
		t.Errorf("it could write %d bytes", written)
	}
}

// While packets of one agent that inflate to much are worked off, the loop looks at
// its sockets in between: others are served long before the last of them.
func TestOthersAreServedBetweenTwoThatInflate(t *testing.T) {
	const bombs = 100
	w := newWorld(t, 1, nil)
	w.addAnalyzer(0, true)
	w.weigh(1)
	body := protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "bomb", AgentID: "evil", Messages: []protocol.LogMessage{
		{Level: protocol.LevelInfo, Source: "s", Message: "m", Metadata: map[string]any{"k": make([]any, 1<<20-400)}}}})
	body = append(body, 0xc0) // a trailing byte: it is inflated, and refused
	evil := w.addAgent()
	bomb := protocol.AppendFrame(nil, protocol.NewCompressor(protocol.Zstd).Append(nil, body))
	if _, err := evil.Write(bytes.Repeat(bomb, bombs)); err != nil {
		t.Fatal(err)
	}
	received := func() (n dispatch.Counters) {
		if err := w.loop.Do(t.Context(), func(p *pump.Pump) { p.Snapshot(&n) }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	await.True(t, "the first of them", func() bool { return received().Received > 0 })
	good := w.addAgent()
	for n := uint64(1); n <= 10; n++ {
		good.send("x")
		good.awaitAck(n)
	}
	if n := received().Received; n >= bombs {
		t.Errorf("all %d that inflate were worked off before another agent had its ten answers", bombs)
	}
}
