package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	analyzer "sluice/analyzer/node"
	"sluice/server/config"
	distributor "sluice/server/node"
	"sluice/server/stats"
)

// weights of analyzer-1 to analyzer-4.
var weights = [...]float64{40, 30, 20, 10}

// system is a distributor with its analyzers, in this process.
type system struct {
	analyzers   []*analyzer.Node
	distributor *distributor.Node
	letters     string // the dead-letter folder, which goes with the system
	log         *slog.Logger
}

const (
	startLimit = 15 * time.Second
	stopLimit  = 15 * time.Second
)

// startSystem starts everything and waits until all analyzers are up.
func startSystem(ctx context.Context, o *options, log *slog.Logger) (*system, error) {
	s := &system{log: log}
	cfg := config.Default()
	cfg.SlowStart = o.SlowStart
	port := func(p int) string {
		if o.AnyPort {
			p = 0
		}
		return net.JoinHostPort(o.Host, strconv.Itoa(p))
	}
	cfg.Listen, cfg.HTTPListen = port(9000), port(8000)
	cfg.Analyzers = nil
	for i, w := range weights {
		name := fmt.Sprintf("analyzer-%d", i+1)
		a, err := analyzer.Start(analyzer.Config{Name: name, Listen: port(9001 + i), HTTP: port(8001 + i), Logger: log})
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
		s.analyzers = append(s.analyzers, a)
		cfg.Analyzers = append(cfg.Analyzers, config.Analyzer{Name: name, Addr: a.Addr(), Weight: w})
	}
	var err error
	if s.letters, err = os.MkdirTemp("", "sluice-demo-"); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	cfg.DeadLetterDir = s.letters
	if s.distributor, err = distributor.Start(cfg, log); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if err := s.awaitUp(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// awaitUp waits until every analyzer is up.
func (s *system) awaitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for s.distributor.Health().Status != stats.Healthy {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the analyzers did not come up: %w", ctx.Err())
		case <-poll.C:
		}
	}
	return nil
}

// stop drains the distributor, then stops the analyzers.
func (s *system) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var err error
	if s.distributor != nil {
		err = s.distributor.Shutdown(ctx)
	}
	for _, a := range s.analyzers {
		err = errors.Join(err, a.Stop(ctx))
	}
	if s.letters != "" {
		err = errors.Join(err, os.RemoveAll(s.letters))
	}
	return err
}

// restart starts an analyzer again that was killed, at its old address.
func (s *system) restart(i int) error {
	old := s.analyzers[i]
	a, err := analyzer.Start(analyzer.Config{Name: old.Name(), Listen: old.Addr(), HTTP: old.HTTPAddr(), Logger: s.log})
	if err == nil {
		s.analyzers[i] = a
	}
	return err
}

// agentAddr is where agents connect.
func (s *system) agentAddr() string { return s.distributor.Addr().String() }

// received returns how many packets each analyzer counted itself.
func (s *system) received() []uint64 {
	out := make([]uint64, len(s.analyzers))
	for i, a := range s.analyzers {
		out[i] = a.Stats().ReceivedPackets
	}
	return out
}
