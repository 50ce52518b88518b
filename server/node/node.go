// Package node builds a whole distributor and runs it. Several fit in one
// process: it has no state but its own.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"sluice/server/api"
	"sluice/server/config"
	"sluice/server/dispatch"
	"sluice/server/health"
	"sluice/server/listener"
	"sluice/server/loop"
	"sluice/server/pool"
	"sluice/server/route"
	"sluice/server/stats"
)

// Node is a running distributor. Safe for concurrent use.
type Node struct {
	cfg    config.Config
	log    *slog.Logger
	epoch  time.Time
	shared *dispatch.Shared
	loops  []*loop.Loop
	cells  []stats.Cell
	health *health.Monitor
	pool   *pool.Pool
	agents *listener.Listener
	http   *api.Server

	next     atomic.Uint64 // HTTP submissions take the loops in turn
	draining atomic.Bool
	stop     sync.Once
	stopErr  error
}

// Start binds the addresses and starts everything. On an error nothing is
// left running; a port in use is a *net.OpError that names the address.
func Start(cfg config.Config, log *slog.Logger) (*Node, error) {
	n := &Node{cfg: cfg, log: log, epoch: time.Now()}
	var err error
	if n.agents, err = listener.Listen(cfg.Listen, log); err != nil {
		return nil, fmt.Errorf("listen for agents on %s: %w", cfg.Listen, err)
	}
	if n.http, err = api.New(api.Config{Listen: cfg.HTTPListen, MaxBody: cfg.MaxBody, MaxFrame: cfg.MaxFrame, Logger: log}, n); err != nil {
		n.agents.Close()
		return nil, fmt.Errorf("listen for HTTP on %s: %w", cfg.HTTPListen, err)
	}
	if err := n.startLoops(); err != nil {
		n.agents.Close()
		return nil, errors.Join(err, n.http.Shutdown(context.Background()))
	}
	n.startPool()
	takers := make([]listener.Loop, len(n.loops))
	for i, l := range n.loops {
		takers[i] = l
	}
	n.agents.Start(takers)
	n.http.Start()
	log.Info("distributor is ready for agents", "agents", n.Addr().String(), "http", n.HTTPAddr().String(), "loops", len(n.loops))
	return n, nil
}

func (n *Node) startLoops() error {
	workers := n.cfg.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	dc := dispatchConfig(n.cfg)
	n.shared = dispatch.NewShared(dc, len(n.cfg.Analyzers))
	n.cells = make([]stats.Cell, workers)
	names, weights := make([]string, len(n.cfg.Analyzers)), make([]float64, len(n.cfg.Analyzers))
	for i, a := range n.cfg.Analyzers {
		names[i], weights[i] = a.Name, a.Weight
	}
	n.health = health.New(names, weights, workers, func(t *route.Table) { n.shared.Table.Store(t) }, n.log)
	for i := range workers {
		l, err := loop.Start(loop.Config{Index: i, Dispatch: dc, Shared: n.shared, Analyzers: len(names),
			Events: n, Logger: n.log, Epoch: n.epoch})
		if err != nil {
			for _, l := range n.loops {
				err = errors.Join(err, l.Stop())
			}
			return err
		}
		n.loops = append(n.loops, l)
	}
	return nil
}

func (n *Node) startPool() {
	targets := make([]pool.Target, len(n.cfg.Analyzers))
	for i, a := range n.cfg.Analyzers {
		targets[i] = pool.Target{Name: a.Name, Addr: a.Addr}
	}
	takers := make([]pool.Taker, len(n.loops))
	for i, l := range n.loops {
		takers[i] = l
	}
	n.pool = pool.New(targets, n.health.Failed)
	n.pool.Start(takers)
}

// dispatchConfig translates the settings into the core's limits.
func dispatchConfig(cfg config.Config) dispatch.Config {
	d := dispatch.Defaults()
	d.MaxFrame = cfg.MaxFrame
	d.SessionWindowFrames, d.SessionWindowBytes = cfg.SessionWindowFrames, cfg.SessionWindowBytes
	d.LinkWindowFrames, d.LinkWindowBytes = cfg.LinkWindowFrames, cfg.LinkWindowBytes
	d.ByteBudget = cfg.ByteBudget
	d.MaxQueueFrames = cfg.MaxQueue
	d.MaxRetries, d.RetryDelay, d.QueueTimeout = cfg.MaxRetries, cfg.RetryDelay, cfg.QueueTimeout
	d.PingAfter, d.Silence, d.AckTimeout = cfg.PingAfter, cfg.Silence, cfg.AckTimeout
	d.HealthCheck, d.SpillAfter = cfg.HealthCheckInterval, cfg.SpillAfter
	d.Strict = cfg.Spill == config.SpillStrict
	switch cfg.Route {
	case config.RouteAgent:
		d.Route = dispatch.RouteAgent
	case config.RoutePacket:
		d.Route = dispatch.RoutePacket
	}
	return d
}

// LinkReady is called by the loops.
func (n *Node) LinkReady(loop, analyzer int) {
	n.pool.Ready(loop, analyzer)
	n.health.LinkReady(loop, analyzer)
}

// LinkDraining is called by the loops.
func (n *Node) LinkDraining(loop, analyzer int, reason string) {
	n.health.LinkLost(loop, analyzer, reason)
}

// LinkLost is called by the loops.
func (n *Node) LinkLost(loop, analyzer int, reason string) {
	n.health.LinkLost(loop, analyzer, reason)
	n.pool.Lost(loop, analyzer)
}

// Addr is the bound address for agents.
func (n *Node) Addr() net.Addr { return n.agents.Addr() }

// HTTPAddr is the bound address of the HTTP side.
func (n *Node) HTTPAddr() net.Addr { return n.http.Addr() }

// Shutdown drains: no new connections, GOAWAY to agents, what is in flight is
// settled and its answers are flushed, then all ends. The context bounds the
// wait for what is in flight; what was left then is the error.
func (n *Node) Shutdown(ctx context.Context) error {
	n.stop.Do(func() { n.stopErr = n.shutdown(ctx) })
	return n.stopErr
}

// ErrUnsettled says that the grace period ended before the last packet was
// acknowledged.
var ErrUnsettled = errors.New("packets were left unsettled")

// answerWait bounds the wait for a loop to do as it is told.
const answerWait = 5 * time.Second

func (n *Node) shutdown(ctx context.Context) error {
	n.draining.Store(true)
	n.health.Silence()
	err := n.agents.Close()
	for _, l := range n.loops {
		asked, cancel := context.WithTimeout(context.Background(), answerWait)
		err = errors.Join(err, l.Do(asked, (*dispatch.Core).Drain))
		cancel()
	}
	left := n.awaitSettled(ctx)
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("%w: %d", ErrUnsettled, left))
	}
	for _, l := range n.loops {
		last, cancel := context.WithTimeout(context.Background(), time.Second)
		err = errors.Join(err, l.Finish(last))
		cancel()
	}
	httpCtx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if n.http.Shutdown(httpCtx) != nil {
		n.log.Debug("HTTP connections were cut at the end of the drain")
	}
	n.pool.Stop()
	n.counters() // the last ones, for those who ask afterwards
	for _, l := range n.loops {
		err = errors.Join(err, l.Stop())
	}
	return err
}

// awaitSettled polls until no loop holds an admitted packet; it returns how
// many are left when the context ends.
func (n *Node) awaitSettled(ctx context.Context) int {
	poll := time.NewTicker(dispatch.TickEvery)
	defer poll.Stop()
	for {
		left := n.unsettled()
		if left == 0 {
			return 0
		}
		select {
		case <-ctx.Done():
			return left
		case <-poll.C:
		}
	}
}

// unsettled asks every loop. One that does not answer in time counts as one
// packet: it cannot be said to hold none.
func (n *Node) unsettled() int {
	ctx, cancel := context.WithTimeout(context.Background(), answerWait)
	defer cancel()
	sum := 0
	for _, l := range n.loops {
		left := make(chan int, 1) // the loop may answer after we have gone
		if l.Do(ctx, func(c *dispatch.Core) { left <- c.Unsettled() }) != nil {
			sum++
			continue
		}
		sum += <-left
	}
	return sum
}
