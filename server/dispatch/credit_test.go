package dispatch_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// crowd is a world whose senders use all the credit that they are told, some of
// them a while later than it was told.
type crowd struct {
	*world
	far     map[string]time.Duration // how long a sender's credit travels
	arrives map[string][]told
}

type told struct {
	at     time.Duration
	frames uint64
}

// step is a millisecond: senders use what they may, and each analyzer acknowledges perStep.
func (w *crowd) step(perStep int) {
	for _, name := range slices.Sorted(maps.Keys(w.agents)) { // the same in every run
		a := w.agents[name]
		credit := max(a.frames, protocol.FirstCreditFrames)
		if delay := w.far[name]; delay > 0 {
			way := append(w.arrives[name], told{w.now + delay, credit})
			credit = protocol.FirstCreditFrames
			for len(way) > 1 && way[1].at <= w.now {
				way = way[1:]
			}
			if way[0].at <= w.now {
				credit = way[0].frames
			}
			w.arrives[name] = way
		}
		if room := int(credit) - int(a.sent); room > 0 {
			w.send(name, room, 10)
		}
		a.lines = a.lines[:0]
	}
	for k := range w.sinks {
		w.ack(k, perStep)
		w.sinks[k].received = w.sinks[k].received[:0]
	}
	w.now += time.Millisecond
	if w.now%dispatch.TickEvery == 0 {
		w.pump.Tick()
	}
}

func (w *crowd) heldFrames() int {
	held, _, _ := w.core.Held()
	return held
}

func newCrowd(t *testing.T, near int) *crowd {
	cfg := dispatch.Defaults()
	cfg.HeldFrames = 512
	w := &crowd{world: newWorld(t, cfg, 1, 1), far: map[string]time.Duration{}, arrives: map[string][]told{}}
	w.up(0)
	w.up(1)
	for i := range near {
		w.agent(fmt.Sprintf("near-%d", i))
	}
	return w
}

func TestSendersShareWhatKeepsTheAnalyzersBusy(t *testing.T) {
	const senders, perStep = 16, 100
	w := newCrowd(t, senders)
	for range 800 { // what the first credits brought is gone
		w.step(perStep)
	}
	n := w.check()
	before, busy, most := n.Delivered, n.Rejected[protocol.NackBusy], 0
	const run = 100
	for range run {
		w.step(perStep)
		most = max(most, w.heldFrames())
	}
	n = w.check()
	if got, able := n.Delivered-before, uint64(2*perStep*run); got < able*95/100 {
		t.Errorf("delivered %d of %d", got, able)
	}
	if n.Rejected[protocol.NackBusy] != busy {
		t.Errorf("%d frames within the credit were busy", n.Rejected[protocol.NackBusy]-busy)
	}
	if limit := 3 * w.core.Needed(); most > limit {
		t.Errorf("%d frames were held, %d are needed: want at most %d", most, w.core.Needed(), limit)
	}
}

func TestASenderFarAwayKeepsItsWindow(t *testing.T) {
	w := newCrowd(t, 8)
	w.far["far"] = 100 * time.Millisecond
	a := w.agent("far")
	for range 400 {
		w.step(200)
	}
	before, began := a.sent, w.now
	for range 400 {
		w.step(200)
	}
	trips := (w.now - began) / w.far["far"]
	if got, want := a.sent-before, uint64(trips)*uint64(w.cfg.SessionWindowFrames)*3/4; got < want {
		t.Errorf("%d frames in %d round trips, want at least %d; its window is %d", got, trips, want, a.source().CreditWindow())
	}
}

func TestAWindowGrowsWithItsPart(t *testing.T) {
	w := newCrowd(t, 16)
	for range 1600 { // what the first credits brought is gone
		w.step(150)
	}
	small := w.agents["near-0"].source().CreditWindow()
	for _, name := range slices.Sorted(maps.Keys(w.agents)) {
		if a := w.agents[name]; name != "near-0" {
			w.leave(a)
			delete(w.agents, name)
		}
	}
	for range 400 {
		w.step(150)
	}
	if got := w.agents["near-0"].source().CreditWindow(); small >= w.cfg.HeldFrames || got < w.cfg.HeldFrames {
		t.Errorf("the window is %d alone, and was %d among 16", got, small)
	}
}
