package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"

	analyzer "sluice/analyzer/node"
	"sluice/server/config"
	distributor "sluice/server/node"
	"sluice/server/stats"
)

// local is a distributor with its analyzers, in this process.
type local struct {
	analyzers   []*analyzer.Node
	distributor *distributor.Node
	letters     string // the dead-letter folder, which goes with the system
	log         *slog.Logger
}

// startLocal starts everything and waits until all analyzers are up.
func startLocal(ctx context.Context, o *options, log *slog.Logger) (*local, error) {
	s := &local{log: log}
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
	if err := awaitSteady(ctx, s, startLimit); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// stop drains the distributor, then stops the analyzers.
func (s *local) stop() error {
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

func (s *local) kill(i int) error {
	s.analyzers[i].Kill()
	return nil
}

func (s *local) restart(i int) error {
	old := s.analyzers[i]
	a, err := analyzer.Start(analyzer.Config{Name: old.Name(), Listen: old.Addr(), HTTP: old.HTTPAddr(), Logger: s.log})
	if err == nil {
		s.analyzers[i] = a
	}
	return err
}

func (s *local) agentAddr() string { return s.distributor.Addr().String() }

func (s *local) stats(context.Context) (stats.Snapshot, error) { return s.distributor.Stats(), nil }

func (s *local) received(context.Context) ([]uint64, error) {
	out := make([]uint64, len(s.analyzers))
	for i, a := range s.analyzers {
		out[i] = a.Stats().ReceivedPackets
	}
	return out, nil
}
