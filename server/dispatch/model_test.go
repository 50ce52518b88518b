package dispatch_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// TestAnyHistory drives the core with random histories, cut streams included,
// and then heals the world: whatever happened, the ledger is exact after each
// step, every answer obeys the rules (see hear), and in the end every frame
// has its one fate.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := dispatch.Defaults()
		cfg.MaxQueueFrames = rapid.SampledFrom([]int{0, 5, 100, 5000}).Draw(t, "queue")
		cfg.LinkWindowFrames = rapid.SampledFrom([]int{1, 4, 64, 32768}).Draw(t, "link window")
		cfg.SessionWindowFrames = rapid.SampledFrom([]int{2, 64, 4096}).Draw(t, "session window")
		cfg.ByteBudget = rapid.SampledFrom([]int64{1 << 20, 256 << 20}).Draw(t, "budget")
		cfg.Strict = rapid.Bool().Draw(t, "strict")
		cfg.Route = rapid.SampledFrom([]dispatch.Route{dispatch.RouteWeighted, dispatch.RouteWeighted, dispatch.RouteAgent, dispatch.RoutePacket}).Draw(t, "route")
		weights := make([]float64, rapid.IntRange(1, 5).Draw(t, "analyzers"))
		for i := range weights {
			weights[i] = float64(rapid.IntRange(0, 10).Draw(t, "weight"))
		}
		weights[0]++
		w := newWorld(t, cfg, weights...)
		w.window = rapid.SampledFrom([]uint64{1, 32768, math.MaxUint64}).Draw(t, "credit")
		names := []string{"a", "b", "c"}
		sinks := rapid.IntRange(0, len(weights)-1)
		held := map[string][]byte{} // the rest of a cut stream
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				name := rapid.SampledFrom(names).Draw(t, "agent")
				a := w.agent(name)
				if a.closed {
					return
				}
				data := held[name]
				for range rapid.IntRange(1, 20).Draw(t, "count") {
					a.sent++
					if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
						data = append(data, protocol.AppendFrame(nil, []byte{0xc3})...)
					} else {
						data = append(data, packet(name, a.sent, rapid.IntRange(0, 2000).Draw(t, "size"))...)
					}
				}
				cut := rapid.IntRange(0, len(data)).Draw(t, "cut")
				held[name] = append([]byte(nil), data[cut:]...)
				w.receive(a, data[:cut:cut])
			},
			"submit": func(t *rapid.T) {
				w.submit(rapid.IntRange(1, 20).Draw(t, "count"), rapid.IntRange(0, 2000).Draw(t, "size"))
			},
			"bury": func(t *rapid.T) {
				w.turn(func(c *dispatch.Core) { c.DeadLetterAll() })
				if open := w.desk.sent - len(w.desk.fates); open != 0 {
					t.Fatalf("%d submitted frames have no fate after DeadLetterAll", open)
				}
			},
			"up": func(t *rapid.T) {
				if i := sinks.Draw(t, "sink"); w.core.Links()[i].Closed() {
					w.up(i)
				}
			},
			"ack": func(t *rapid.T) {
				if i := sinks.Draw(t, "sink"); w.core.Links()[i].Ready() {
					w.ack(i, rapid.IntRange(0, 30).Draw(t, "count"))
				}
			},
			"nack": func(t *rapid.T) {
				i := sinks.Draw(t, "sink")
				sink := w.sinks[i]
				if w.core.Links()[i].Ready() == false || sink.acked >= sink.number {
					return
				}
				n := sink.acked + uint64(rapid.IntRange(1, int(sink.number-sink.acked)).Draw(t, "n"))
				count := uint64(rapid.IntRange(1, int(sink.number-n+1)).Draw(t, "count"))
				code := protocol.NackCode(rapid.IntRange(1, 6).Draw(t, "code"))
				data := protocol.AppendNack(nil, n, code, 50*time.Millisecond, "", count)
				w.answer(i, data)
			},
			"lose": func(t *rapid.T) { w.lose(sinks.Draw(t, "sink")) },
			"leave": func(t *rapid.T) {
				name := rapid.SampledFrom(names).Draw(t, "agent")
				a := w.agents[name]
				if a == nil {
					return
				}
				w.leave(a)
				delete(w.agents, name)
				delete(held, name)
			},
			"wait": func(t *rapid.T) {
				w.advance(time.Duration(rapid.IntRange(1, 1500).Draw(t, "ms")) * time.Millisecond)
			},
			"": func(t *rapid.T) { w.check() },
		})
		heal(w)
	})
}

// heal ends all faults and waits; then nothing may be left open.
func heal(w *world) {
	for range 400 {
		for i, l := range w.core.Links() {
			if l.Closed() {
				w.up(i)
			}
			w.ack(i, 1<<20)
		}
		w.advance(200 * time.Millisecond)
		w.check()
		if w.core.Unsettled() == 0 {
			break
		}
	}
	if open := w.desk.sent - len(w.desk.fates); open != 0 {
		w.t.Fatalf("%d submitted frames have no fate", open)
	}
	n := w.check()
	if n.Queued+n.InFlight != 0 {
		w.t.Fatalf("after healing %d frames wait and %d are in flight", n.Queued, n.InFlight)
	}
	for _, a := range w.agents {
		if !a.closed && a.source().SettledUpTo() != a.source().Number() {
			w.t.Fatalf("agent %s: %d frames received, settled up to %d", a.name, a.source().Number(), a.source().SettledUpTo())
		}
	}
	for _, l := range w.core.Links() {
		if _, _, bytes := l.Window(); l.InFlight() != 0 || bytes != 0 {
			w.t.Fatalf("link %d holds %d frames, %d bytes", l.Index(), l.InFlight(), bytes)
		}
	}
}
