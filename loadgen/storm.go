package main

import (
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

const (
	// stormSpan is in which all agents come back after the cut, each at a
	// random moment of it.
	stormSpan = time.Second

	// stormArrivals is how many agents a second connect in the first round,
	// which is not the storm.
	stormArrivals = 2000
)

// stormReport is how long agents waited that all came at once.
type stormReport struct {
	heading
	Agents int        `json:"agents"`
	First  stormRound `json:"first_connect"`
	Again  stormRound `json:"reconnect"`
}

// stormRound is how one packet of each agent went. Waiting counts from the
// moment at which an agent was to connect, whatever held it up.
type stormRound struct {
	Agents         int               `json:"agents"`
	SpanSeconds    float64           `json:"span_seconds"` // in which they connect
	Served         int               `json:"served"`
	ElapsedSeconds float64           `json:"elapsed_seconds"` // until the last was served, or the limit
	Waited         spread            `json:"waited_ms"`
	Busy           uint64            `json:"busy_answers"`
	Troubles       map[string]uint64 `json:"troubles,omitempty"` // failed dials and connections; each was tried again
	Refused        map[string]uint64 `json:"refused,omitempty"`  // packets that will never be taken
}

// storm lets N agents connect and send one packet each, cuts them all, and lets
// them come back within a second for one packet more.
func storm(ctx context.Context, o *options, b *bodies) *stormReport {
	r := &stormReport{heading: newHeading(o), Agents: o.Storm}
	agents := make([]*stormAgent, o.Storm)
	for id := range agents {
		agents[id] = &stormAgent{id: id, o: o, bodies: b}
	}
	arrivals := max(stormSpan, time.Duration(o.Storm)*time.Second/stormArrivals)
	r.First = stormOnce(ctx, o, agents, arrivals, 0)
	for _, a := range agents {
		a.cut()
	}
	r.Again = stormOnce(ctx, o, agents, stormSpan, 1)
	for _, a := range agents {
		a.cut()
	}
	r.end(ctx)
	return r
}

// stormOnce is one round; number is that of each agent's packet.
func stormOnce(ctx context.Context, o *options, agents []*stormAgent, span time.Duration, number uint64) stormRound {
	r := stormRound{Agents: len(agents), SpanSeconds: span.Seconds(), Troubles: map[string]uint64{}, Refused: map[string]uint64{}}
	ctx, cancel := context.WithTimeout(ctx, span+o.Duration)
	defer cancel()
	var (
		wg    sync.WaitGroup
		fates = make([]served, len(agents))
		start = time.Now()
	)
	for i, a := range agents {
		due := start.Add(rand.N(span))
		wg.Go(func() { fates[i] = a.round(ctx, due, number) })
	}
	wg.Wait()
	r.ElapsedSeconds = time.Since(start).Seconds()
	var waited []float64
	for _, s := range fates {
		r.Busy += uint64(s.busy)
		for _, t := range s.troubles {
			r.Troubles[t]++
		}
		switch {
		case s.ok:
			r.Served++
			waited = append(waited, float64(s.took.Microseconds())/1e3)
		case s.refused != "":
			r.Refused[s.refused]++
		}
	}
	r.Waited = newSpread(waited)
	return r
}

// good: every agent was served, before the cut and after it.
func (r *stormReport) good() bool {
	return r.First.Served == r.Agents && r.Again.Served == r.Agents
}

func (r *stormReport) print(w io.Writer) {
	t := table{w}
	io.WriteString(w, plural(uint64(r.Agents), "agent")+", cut and back within a second, to "+strings.Join(r.Addr, ", ")+"\n")
	if r.Interrupted {
		t.row("interrupted", "before the planned end")
	}
	for _, round := range []struct {
		name string
		r    *stormRound
	}{{"first connect", &r.First}, {"reconnect", &r.Again}} {
		t.row(round.name, "%d of %d served; after %.3f s all had their end, and all were to come within %.3f s",
			round.r.Served, round.r.Agents, round.r.ElapsedSeconds, round.r.SpanSeconds)
		t.row("  waited ms", "%s", round.r.Waited)
		t.row("  busy answers", "%d", round.r.Busy)
		t.counted("  trouble", round.r.Troubles)
		t.counted("  refused", round.r.Refused)
	}
}
