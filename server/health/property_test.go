package health

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAnyHistory drives a monitor with any events in any order, sensible or
// not, checks it after each, and then heals the world: see check and heal.
// That no table repeats the one before it is checked by world.published.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loops := rapid.IntRange(1, 3).Draw(t, "loops")
		weights := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 5), func(n int) float64 { return float64(n) }), 1, 4).Draw(t, "weights")
		slowStart := rapid.SampledFrom([]time.Duration{0, 50 * time.Millisecond, time.Second, 7777 * time.Millisecond, 10 * time.Second}).Draw(t, "slow start")
		w := newWorld(t, loops, slowStart, weights...)
		h := &history{world: w}
		event := func(names ...string) func(*rapid.T) {
			return func(t *rapid.T) {
				w.act(rapid.SampledFrom(names).Draw(t, "event"), rapid.IntRange(0, loops-1).Draw(t, "loop"),
					rapid.IntRange(0, len(weights)-1).Draw(t, "analyzer"), rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "reason"))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"link":  event("ready", "well", "suspect", "draining", "lost"),
			"other": event("ready", "well", "suspect", "draining", "lost"), // the same again, to have more of it
			"connect": func(t *rapid.T) {
				analyzer := rapid.IntRange(0, len(weights)-1).Draw(t, "analyzer")
				for loop := range loops {
					w.act("ready", loop, analyzer, "")
				}
			},
			"failed": func(t *rapid.T) {
				w.Failed(rapid.IntRange(0, len(weights)-1).Draw(t, "analyzer"), errors.New("refused"))
			},
			"sleep": func(t *rapid.T) { // nobody ticks
				w.clock = w.clock.Add(time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "for")))
			},
			"quiet": func(t *rapid.T) {
				w.quiet(time.Duration(rapid.Int64Range(0, int64(12*time.Second)).Draw(t, "for")), h.check)
			},
			"": func(*rapid.T) { h.check() },
		})
		heal(w, h)
	})
}

// history is what check compares with.
type history struct {
	*world
	before []Status
}

// check holds after any event.
func (h *history) check() {
	status := h.Status()
	empty, ready := len(h.tables) == 0 || h.tables[len(h.tables)-1].Empty(), false
	sum, transitions := 0.0, 0
	for i, st := range status {
		if !h.whole(i) && st.EffectiveWeight != 0 {
			h.t.Fatalf("analyzer %d has weight %v, and a loop without a ready link", i, st.EffectiveWeight)
		}
		ready = ready || h.weights[i] > 0 && h.whole(i)
		sum += st.EffectiveWeight
		transitions += st.Transitions
		h.checkState(i, st)
	}
	if ready && empty {
		h.t.Fatalf("an analyzer is ready, and the table is empty: %+v", status)
	}
	for i, st := range status {
		if want := st.EffectiveWeight / max(sum, 1e-300); math.Abs(h.share(i)-want) > 1e-9 {
			h.t.Fatalf("analyzer %d has share %v in the table, want %v", i, h.share(i), want)
		}
	}
	told := 0
	for _, line := range h.logged {
		if strings.Contains(line, "analyzer is ") {
			told++
		}
	}
	if told != transitions {
		h.t.Fatalf("%d transitions, %d of them logged", transitions, told)
	}
	h.before = status
}

// checkState: the state agrees with the weight, and changes are counted.
func (h *history) checkState(i int, st Status) {
	fits := map[State]bool{
		Up:         h.whole(i) && st.EffectiveWeight == h.weights[i],
		Suspect:    h.whole(i) && (st.EffectiveWeight > 0 || h.weights[i] == 0),
		Recovering: h.whole(i) && (st.EffectiveWeight < h.weights[i] || h.weights[i] == 0),
		Down:       st.EffectiveWeight == 0,
		Draining:   st.EffectiveWeight == 0 && !h.whole(i),
	}[st.State]
	if !fits || st.Reason == "" {
		h.t.Fatalf("analyzer %d of weight %v, links %+v: %+v", i, h.weights[i], h.links[i], st)
	}
	if h.before == nil {
		return
	}
	was := h.before[i]
	if changed := st.State != was.State; changed && st.Transitions <= was.Transitions || st.Transitions == was.Transitions && st.Since != was.Since {
		h.t.Fatalf("analyzer %d was %+v and is %+v", i, was, st)
	}
}

// heal connects everything and lets SlowStart and ten seconds pass: then all
// are up, with the configured weights.
func heal(w *world, h *history) {
	for i, links := range w.links {
		for loop, l := range links {
			if l.phase == linkDraining {
				w.act("lost", loop, i, "drained")
			}
			if l.phase != linkReady {
				w.act("ready", loop, i, "")
			} else if l.suspect {
				w.act("well", loop, i, "")
			}
		}
	}
	w.quiet(w.slowStart+10*time.Second, h.check)
	sum := 0.0
	for i, st := range w.Status() {
		sum += w.weights[i]
		if st.State != Up || st.EffectiveWeight != w.weights[i] {
			w.t.Fatalf("analyzer %d of weight %v after %v of quiet: %+v", i, w.weights[i], w.slowStart+10*time.Second, st)
		}
	}
	for i, weight := range w.weights {
		if got, want := w.share(i), weight/max(sum, 1e-300); math.Abs(got-want) > 1e-9 {
			w.t.Fatalf("analyzer %d has share %v, want %v", i, got, want)
		}
	}
	tables := len(w.tables)
	if w.quiet(time.Minute, nil); len(w.tables) != tables {
		w.t.Fatalf("%d tables in a quiet minute", len(w.tables)-tables)
	}
}

// A slow start is at most rampSteps tables after its first, never closer than
// TickEvery, growing, and linear to within a step, however irregular the ticks.
func TestSlowStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slowStart := time.Duration(rapid.Int64Range(0, int64(30*time.Second)).Draw(t, "slow start"))
		w := newWorld(t, 1, slowStart, 1, 1)
		for _, i := range []int{0, 1} {
			w.act("ready", 0, i, "")
		}
		w.act("lost", 0, 1, "")
		w.act("ready", 0, 1, "")
		for range 100 {
			if w.Status()[1].EffectiveWeight == 0 {
				w.quiet(TickEvery, nil)
			}
		}
		if w.Status()[1].EffectiveWeight == 0 {
			t.Fatalf("it never began: %+v", w.Status()[1])
		}
		begin, tables, changed := w.clock, len(w.tables), w.clock
		step := slowStart/rampSteps + 1
		for w.Status()[1].State == Recovering {
			pause := time.Duration(rapid.Int64Range(1, int64(400*time.Millisecond)).Draw(t, "pause"))
			if w.clock = w.clock.Add(pause); w.clock.Sub(begin) > slowStart+time.Second {
				t.Fatalf("no end after %v of %v", w.clock.Sub(begin), slowStart)
			}
			before, n := w.Status()[1].EffectiveWeight, len(w.tables)
			w.Tick()
			now := w.Status()[1].EffectiveWeight
			if now < before || n != len(w.tables) && w.clock.Sub(changed) < TickEvery {
				t.Fatalf("from %v to %v, %v after the last change", before, now, w.clock.Sub(changed))
			}
			if n != len(w.tables) {
				changed = w.clock
			}
			ideal := min(1, rampFloor+(1-rampFloor)*float64(w.clock.Sub(begin))/float64(slowStart))
			behind := (1 - rampFloor) * float64(step+TickEvery) / float64(slowStart)
			if now > ideal+1e-9 || now < ideal-behind-1e-9 {
				t.Fatalf("%v of %v: weight %v, want %v", w.clock.Sub(begin), slowStart, now, ideal)
			}
		}
		if steps := len(w.tables) - tables; steps > rampSteps {
			t.Fatalf("%d steps", steps)
		}
		if st := w.Status()[1]; st.State != Up || st.EffectiveWeight != 1 {
			t.Fatalf("it ended as %+v", st)
		}
	})
}
