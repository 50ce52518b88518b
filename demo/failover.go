package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sluice/server/stats"
)

type failoverCmd struct{}

const (
	failoverRate = 20_000 // packets a second: a load, on any machine
	victim       = 1      // analyzer-2
	phaseTime    = 3 * time.Second
	moveLimit    = time.Second
	settleLimit  = 60 * time.Second
	// shareSlack is how far a share over one phase may be from its weight, in
	// percentage points: what is in flight at its ends belongs to no phase.
	shareSlack = 1.0
)

// Run kills analyzer-2 under load and starts it again.
func (failoverCmd) Run(ctx context.Context, o *options, log *slog.Logger) error {
	return with(ctx, o, log, func(s system, l *lines) error {
		fmt.Fprintf(o.out, "\nFailover: %d packets a second over 10 connections; analyzer-2 is killed, and started again\n", failoverRate)
		show, err := newLive(ctx, o.out, s)
		if err != nil {
			return err
		}
		sending, stop := context.WithCancel(ctx)
		defer stop()
		var total sent
		ended := make(chan error, 1)
		go func() {
			var err error
			total, err = send(sending, load{addr: s.agentAddr(), conns: 10, rate: failoverRate, lines: l})
			ended <- err
		}()
		seen, err := failover(ctx, s, show)
		stop()
		if err := errors.Join(err, <-ended); err != nil {
			return err
		}
		st, err := s.stats(ctx)
		if err != nil {
			return err
		}
		return verdict(o.out, "Failover: 0 lost", append(seen.promises(),
			promise{"delivered", "all", fmt.Sprintf("%d of %d", total.delivered, total.accepted), total.delivered == total.accepted && total.accepted > 0, false},
			ledger(st)))
	})
}

// failoverSeen is what was seen of it: shares over the settled phases, and the
// times between them.
type failoverSeen struct {
	before, without, after phase
	moved, back            time.Duration
}

// failover leaves the analyzer running, also when it is interrupted.
func failover(ctx context.Context, s system, show *live) (seen failoverSeen, err error) {
	if seen.before, err = show.phase(ctx, "all four are up", phaseTime); err != nil {
		return seen, err
	}
	running := false
	defer func() {
		if !running {
			err = errors.Join(err, s.restart(victim))
		}
	}()
	if err := s.kill(victim); err != nil {
		return seen, err
	}
	seen.moved, err = show.until(ctx, "analyzer-2 was killed", func(now *stats.Snapshot) bool { return now.Analyzers[victim].EffectiveWeight == 0 })
	if err != nil {
		return seen, err
	}
	if seen.without, err = show.phase(ctx, "three are up", phaseTime); err != nil {
		return seen, err
	}
	running = true
	if err := s.restart(victim); err != nil {
		return seen, err
	}
	seen.back, err = show.until(ctx, "analyzer-2 was started again", func(now *stats.Snapshot) bool { return now.Analyzers[victim].State == stats.StateUp })
	if err != nil {
		return seen, err
	}
	seen.after, err = show.phase(ctx, "all four are up again", phaseTime)
	return seen, err
}

func (f failoverSeen) promises() []promise {
	var alone [len(weights)]float64
	for i, w := range weights {
		if i != victim {
			alone[i] = w
		}
	}
	return []promise{
		sharesKept("shares before", weights, f.before),
		{"its share moved within", moveLimit.String(), atMost(f.moved), f.moved <= moveLimit, true},
		sharesKept("shares without it", alone, f.without),
		{"its share came back after", "checks and slow start", f.back.Round(100 * time.Millisecond).String(), f.back < settleLimit, true},
		sharesKept("shares afterwards", weights, f.after),
	}
}

// atMost tells a time that was looked for every lookEvery.
func atMost(d time.Duration) string {
	return "under " + (d.Truncate(lookEvery) + lookEvery).String()
}

// sharesKept compares shares with weights.
func sharesKept(what string, want [len(weights)]float64, over phase) promise {
	var sum float64
	for _, w := range want {
		sum += w
	}
	p := promise{what: what, kept: true, noisy: over.disturbed}
	for i, w := range want {
		share := 100 * w / sum
		p.promised += fmt.Sprintf(" %5.2f", share)
		p.seen += fmt.Sprintf(" %5.2f", over.shares[i])
		if off := over.shares[i] - share; off > shareSlack || off < -shareSlack {
			p.kept = false
		}
	}
	p.promised, p.seen = p.promised[1:]+" %", p.seen[1:]+" %"
	return p
}
