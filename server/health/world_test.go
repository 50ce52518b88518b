package health

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sluice/server/route"
)

// tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is a monitor with a fake clock, what it published and logged, and
// what the loops would know of their links.
type world struct {
	*Monitor
	t       tester
	clock   time.Time
	weights []float64
	links   [][]fakeLink // by analyzer, loop
	tables  []*route.Table
	logged  []string
}

type fakeLink struct {
	phase   linkPhase
	suspect bool
	heardAt time.Time // PINGs go a second after this
}

func newWorld(t tester, loops int, slowStart time.Duration, weights ...float64) *world {
	w := &world{t: t, clock: time.Unix(1_000_000, 0), weights: weights}
	names := make([]string, len(weights))
	for i := range weights {
		names[i] = string(rune('a' + i))
		w.links = append(w.links, make([]fakeLink, loops))
	}
	w.Monitor = New(Config{Names: names, Weights: weights, Loops: loops, SlowStart: slowStart,
		Now: func() time.Time { return w.clock }, Publish: w.published, Log: slog.New(w)})
	return w
}

// published checks that no table repeats the weights of the one before it. It
// is called with the monitor's lock held, so it may look inside.
func (w *world) published(t *route.Table) {
	if slices.Equal(w.table.weights, w.table.next) { // after the swap, next is what was published before
		w.t.Fatalf("published again with the same weights %v", w.table.weights)
	}
	w.tables = append(w.tables, t)
}

// The world is a slog.Handler that keeps each record as one line.
func (w *world) Enabled(context.Context, slog.Level) bool { return true }
func (w *world) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *world) WithGroup(string) slog.Handler            { return w }
func (w *world) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += fmt.Sprintf(" %s=%q", a.Key, a.Value); return true })
	w.logged = append(w.logged, line)
	return nil
}

// act makes one event, and keeps the loops' view of the link.
func (w *world) act(what string, loop, analyzer int, reason string) {
	w.t.Helper()
	l := &w.links[analyzer][loop]
	switch what {
	case "ready":
		*l = fakeLink{phase: linkReady, heardAt: w.clock}
		w.LinkReady(loop, analyzer)
	case "well":
		l.suspect = false
		w.LinkWell(loop, analyzer)
	case "suspect":
		l.suspect = l.phase == linkReady
		w.LinkSuspect(loop, analyzer, reason)
	case "draining":
		*l = fakeLink{phase: linkDraining}
		w.LinkDraining(loop, analyzer, reason)
	case "lost":
		*l = fakeLink{}
		w.LinkLost(loop, analyzer, reason)
	default:
		w.t.Fatalf("unknown event %q", what)
	}
}

// ticks lets time pass, with a Tick every TickEvery; after each it calls then.
func (w *world) ticks(d time.Duration, then func()) {
	for end := w.clock.Add(d); w.clock.Before(end); {
		w.clock = w.clock.Add(min(TickEvery, end.Sub(w.clock)))
		w.Tick()
		if then != nil {
			then()
		}
	}
}

// quiet is ticks while every link does well, as the core has it: links of
// analyzers without weight answer a PING a second.
func (w *world) quiet(d time.Duration, then func()) {
	w.ticks(d, func() {
		status := w.Status()
		for i, links := range w.links {
			for loop := range links {
				l := &links[loop]
				if status[i].EffectiveWeight == 0 && l.phase == linkReady && w.clock.Sub(l.heardAt) >= time.Second {
					l.heardAt = w.clock
					w.LinkWell(loop, i)
				}
			}
		}
		if then != nil {
			then()
		}
	})
}

// whole says whether every loop has a link that takes packets.
func (w *world) whole(analyzer int) bool {
	return !slices.ContainsFunc(w.links[analyzer], func(l fakeLink) bool { return l.phase != linkReady })
}

func (w *world) share(analyzer int) float64 {
	if len(w.tables) == 0 {
		return 0
	}
	return w.tables[len(w.tables)-1].Weight(analyzer)
}

// summary is the state and the effective weight of each analyzer, and how
// many tables there were.
func (w *world) summary() string {
	var parts []string
	for _, st := range w.Status() {
		parts = append(parts, fmt.Sprintf("%s %.4g", st.State, st.EffectiveWeight))
	}
	return fmt.Sprintf("%s; %d", strings.Join(parts, ", "), len(w.tables))
}
