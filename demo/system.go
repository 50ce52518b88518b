package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"sluice/server/stats"
)

// weights of analyzer-1 to analyzer-4.
var weights = [...]float64{40, 30, 20, 10}

const (
	startLimit = 15 * time.Second
	stopLimit  = 15 * time.Second
)

// system is what a demonstration runs against: a distributor and the analyzers
// of the weights. Analyzers are numbered from 0.
type system interface {
	agentAddr() string // where agents connect
	stats(ctx context.Context) (stats.Snapshot, error)
	received(ctx context.Context) ([]uint64, error) // packets, as each analyzer counted them itself
	kill(i int) error                               // an analyzer dies, answering nobody
	restart(i int) error                            // and is there again, at its old address
	stop() error                                    // what the demonstration started
}

// startSystem starts the system that was asked for, or finds the one that runs.
func startSystem(ctx context.Context, o *options, log *slog.Logger) (system, error) {
	if o.Target == targetCompose {
		return findCompose(ctx, o.Host)
	}
	return startLocal(ctx, o, log)
}

// awaitSteady waits until every analyzer is up with its full weight, so that the
// split is that of the weights.
func awaitSteady(ctx context.Context, s system, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		st, err := s.stats(ctx)
		if err == nil {
			if err = unsteady(st); err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the system is not ready: %w", err)
		case <-poll.C:
		}
	}
}

// unsteady says what is not as the weights want it, if anything.
func unsteady(st stats.Snapshot) error {
	if len(st.Analyzers) != len(weights) {
		return fmt.Errorf("it has %d analyzers, and %d are to be shown", len(st.Analyzers), len(weights))
	}
	for i, a := range st.Analyzers {
		switch {
		case a.Weight != weights[i]:
			return fmt.Errorf("%s has weight %v, and %v is to be shown", a.Name, a.Weight, weights[i])
		case a.State != stats.StateUp || a.EffectiveWeight != a.Weight:
			return fmt.Errorf("%s is %s with weight %v of %v: %s %s", a.Name, a.State, a.EffectiveWeight, a.Weight, a.Reason, a.LastError)
		}
	}
	return nil
}
