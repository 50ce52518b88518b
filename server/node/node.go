// Package node builds a whole distributor and runs it. Several fit in one
// process: it has no state but its own.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"sluice/server/admin"
	"sluice/server/api"
	"sluice/server/config"
	"sluice/server/deadletter"
	"sluice/server/dispatch"
	"sluice/server/health"
	"sluice/server/intake"
	"sluice/server/lineage"
	"sluice/server/listener"
	"sluice/server/loop"
	"sluice/server/pool"
	"sluice/server/pump"
	"sluice/server/route"
	"sluice/server/stats"
)

// Node is a running distributor. Safe for concurrent use.
type Node struct {
	cfg    atomic.Pointer[config.Config] // in force
	roster atomic.Pointer[roster]        // of analyzers, by the index that all rooms know them by
	log    *slog.Logger
	epoch  time.Time
	shared *dispatch.Shared
	loops  []*loop.Loop
	cells  []stats.Cell
	health *health.Monitor
	pool   *pool.Pool
	agents *listener.Listener
	http   *api.Server
	admin  *admin.Server // nil: off

	letters *deadletter.Store
	aside   sync.WaitGroup // health's ticks and the delivery of dead letters
	endTick context.CancelFunc
	endMail context.CancelFunc

	senders  senders          // of HTTP
	replays  []*intake.Source // by loop: dead letters on their way to an analyzer
	next     atomic.Uint64    // submissions take the loops in turn
	draining atomic.Bool
	running  context.Context // ends when the stop begins
	endRun   context.CancelFunc
	reload   sync.Mutex // one at a time
	reloads  atomic.Pointer[reloads]
	stop     sync.Once
	stopErr  error
}

// Start binds the addresses and starts everything. On an error nothing is
// left running; a port in use is a *net.OpError that names the address.
func Start(cfg config.Config, log *slog.Logger) (*Node, error) {
	n := &Node{log: log, epoch: time.Now()}
	n.running, n.endRun = context.WithCancel(context.Background())
	analyzers := newRoster(cfg.Analyzers)
	n.cfg.Store(&cfg)
	n.roster.Store(&analyzers)
	n.reloads.Store(&reloads{generation: 1, loadedAt: n.epoch})
	var undo []func() error
	fail := func(err error) (*Node, error) {
		for i := len(undo) - 1; i >= 0; i-- {
			err = errors.Join(err, undo[i]())
		}
		n.endRun()
		return nil, err
	}
	var err error
	if cfg.Admin != "" { // first, and last to go: how the rest starts and stops can be profiled
		if n.admin, err = admin.Listen(cfg.Admin, log); err != nil {
			return fail(fmt.Errorf("listen for profiles on %s: %w", cfg.Admin, err))
		}
		undo = append(undo, func() error { return n.admin.Shutdown(context.Background()) })
		n.admin.Start()
	}
	if n.letters, err = deadletter.Open(deadletter.Config{Dir: cfg.DeadLetterDir, MaxBytes: int64(cfg.DeadLetterMax), MaxFrame: cfg.MaxFrame, Log: log}); err != nil {
		return fail(fmt.Errorf("dead letters in %s: %w", cfg.DeadLetterDir, err))
	}
	undo = append(undo, func() error { return n.letters.Close(context.Background()) })
	if n.agents, err = listener.Listen(listener.Config{Addr: cfg.Listen, MaxConnections: cfg.MaxConnections,
		MaxPerIP: cfg.MaxConnectionsPerIP, Logger: log}); err != nil {
		return fail(fmt.Errorf("listen for agents on %s: %w", cfg.Listen, err))
	}
	undo = append(undo, n.agents.Close)
	if n.http, err = api.New(api.Config{Listen: cfg.HTTPListen, MaxBody: cfg.MaxBody, MaxFrame: cfg.MaxFrame,
		Concurrency: cfg.HTTPConnections, BodyMemory: cfg.HTTPBodyBytes, Logger: log}, n); err != nil {
		return fail(fmt.Errorf("listen for HTTP on %s: %w", cfg.HTTPListen, err))
	}
	undo = append(undo, func() error { return n.http.Shutdown(context.Background()) })
	if err := n.startLoops(); err != nil {
		return fail(err)
	}
	n.startPool()
	n.startAside()
	takers := make([]listener.Loop, len(n.loops))
	for i, l := range n.loops {
		takers[i] = l
	}
	n.agents.Start(takers)
	n.http.Start()
	log.Info("distributor is ready for agents", "agents", n.Addr().String(), "http", n.HTTPAddr().String(), "loops", len(n.loops))
	if n.admin != nil {
		log.Info("profiles are served", "admin", "http://"+n.AdminAddr().String()+"/debug/pprof/")
	}
	return n, nil
}

func (n *Node) startLoops() error {
	cfg := n.cfg.Load()
	workers := cfg.Loops(runtime.GOMAXPROCS(0))
	dc := dispatchConfig(cfg)
	dc.Lineage = lineage.New()
	n.shared = dispatch.NewShared(dc, len(cfg.Analyzers))
	n.cells = make([]stats.Cell, workers)
	names, weights := make([]string, len(cfg.Analyzers)), make([]float64, len(cfg.Analyzers))
	for i, a := range cfg.Analyzers {
		names[i], weights[i] = a.Name, a.Weight
	}
	n.health = health.New(health.Config{Names: names, Weights: weights, Loops: workers, SlowStart: cfg.SlowStart,
		Publish: func(t *route.Table) { n.shared.Table.Store(t) }, Log: n.log})
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
	n.senders.init(n)
	n.replays = n.newSources(netip.Addr{}, nil)
	return nil
}

func (n *Node) startPool() {
	analyzers := n.cfg.Load().Analyzers
	targets := make([]pool.Target, len(analyzers))
	for i, a := range analyzers {
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
func dispatchConfig(cfg *config.Config) dispatch.Config {
	d := dispatch.Defaults()
	d.MaxFrame = cfg.MaxFrame
	d.SessionWindowFrames, d.SessionWindowBytes = cfg.SessionWindowFrames, cfg.SessionWindowBytes
	d.LinkWindowFrames, d.LinkWindowBytes = cfg.LinkWindowFrames, cfg.LinkWindowBytes
	d.ByteBudget = cfg.ByteBudget
	d.MaxQueueFrames = cfg.MaxQueue
	d.MaxRetries, d.RetryDelay, d.QueueTimeout = cfg.MaxRetries, cfg.RetryDelay, cfg.QueueTimeout
	// Asked at a quarter of the silence, so that one slow answer is not silence.
	d.PingAfter, d.Silence, d.AckTimeout = cfg.Silence/4, cfg.Silence, cfg.AckTimeout
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

// startAside starts what needs a clock of its own: health's ticks, and the
// delivery of dead letters.
func (n *Node) startAside() {
	ticks, endTick := context.WithCancel(context.Background())
	mail, endMail := context.WithCancel(context.Background())
	n.endTick, n.endMail = endTick, endMail
	n.aside.Go(func() {
		every := time.NewTicker(health.TickEvery)
		defer every.Stop()
		for {
			select {
			case <-ticks.Done():
				return
			case <-every.C:
				n.health.Tick()
			}
		}
	})
	n.aside.Go(func() { n.letters.Replay(mail, postman{n}) })
}

// LinkSuspect is called by the loops.
func (n *Node) LinkSuspect(loop, analyzer int, reason string) {
	n.health.LinkSuspect(loop, analyzer, reason)
}

// LinkWell is called by the loops.
func (n *Node) LinkWell(loop, analyzer int) { n.health.LinkWell(loop, analyzer) }

// LinkReady is called by the loops.
func (n *Node) LinkReady(loop, analyzer int) {
	n.pool.Ready(loop, analyzer)
	n.health.LinkReady(loop, analyzer)
}

// LinkDraining is called by the loops.
func (n *Node) LinkDraining(loop, analyzer int, reason string) {
	n.health.LinkDraining(loop, analyzer, reason)
}

// LinkLost is called by the loops.
func (n *Node) LinkLost(loop, analyzer int, reason string) {
	n.health.LinkLost(loop, analyzer, reason)
	n.pool.Lost(loop, analyzer)
}

// Grace is how long a stop may take.
func (n *Node) Grace() time.Duration { return n.cfg.Load().Grace }

// Addr is the bound address for agents.
func (n *Node) Addr() net.Addr { return n.agents.Addr() }

// HTTPAddr is the bound address of the HTTP side.
func (n *Node) HTTPAddr() net.Addr { return n.http.Addr() }

// AdminAddr is the bound address of the profiles; nil: there are none.
func (n *Node) AdminAddr() net.Addr {
	if n.admin == nil {
		return nil
	}
	return n.admin.Addr()
}

// Shutdown drains: no new connections, GOAWAY to agents, what is in flight is
// settled and its answers are flushed, then all ends. The context bounds the
// wait for what is in flight; what was left then is the error. It does not bound
// the wait for the dead-letter store to have what was answered 202.
func (n *Node) Shutdown(ctx context.Context) error {
	n.stop.Do(func() { n.stopErr = n.stopAll(ctx) })
	return n.stopErr
}

// ErrUnsettled says that the grace period ended before the last packet was
// acknowledged.
var ErrUnsettled = errors.New("packets were left unsettled")

const (
	// answerWait bounds the wait for a loop to do as it is told.
	answerWait = 5 * time.Second

	// promiseWait bounds the wait for a loop to hand over what was answered 202. It
	// answers when it has worked off what it has read, which may be much, and to go
	// before would lose what was promised. What is stuck for longer than this is
	// stuck for ever.
	promiseWait = 2 * time.Minute
)

func (n *Node) stopAll(ctx context.Context) error {
	n.draining.Store(true)
	n.shared.Stop()
	n.endRun()
	n.reload.Lock() // a reload that was on its way has ended, and none follows
	defer n.reload.Unlock()
	n.health.Silence()
	n.endMail() // what it has in flight is settled below, or delivered again after the next start
	err := n.agents.Close()
	for _, l := range n.loops {
		asked, cancel := context.WithTimeout(ctx, answerWait)
		if late := l.Drain(asked); late != nil { // it drains when it comes to it, before it is asked for the rest
			n.log.Warn("an event loop is late to drain", "loop", l.Index(), "error", late)
		}
		cancel()
	}
	if n.awaitSettled(ctx) > 0 {
		err = errors.Join(err, n.bury())
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
	n.endTick()
	n.aside.Wait()
	written, cancel := context.WithTimeout(context.Background(), answerWait) // for a disk that fails; a slow one is waited for
	defer cancel()
	err = errors.Join(err, n.letters.Close(written))
	if n.admin != nil {
		last, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if n.admin.Shutdown(last) != nil {
			n.log.Debug("a profile was cut at the end of the stop")
		}
	}
	return err
}

// bury puts what we answer for and could not deliver in time among the dead
// letters. What is left then is its senders' own, who have no answer for it
// and will send it again; it is the error.
func (n *Node) bury() error {
	before := n.counters().DeadLettered
	var err error
	for _, l := range n.loops {
		asked, cancel := context.WithTimeout(context.Background(), promiseWait)
		err = errors.Join(err, l.Do(asked, func(p *pump.Pump) { p.Core().DeadLetterAll() }))
		cancel()
	}
	if buried := n.counters().DeadLettered - before; buried > 0 {
		n.log.Warn("accepted packets that no analyzer took are dead letters now; they are delivered after the next start",
			"packets", buried, "folder", n.cfg.Load().DeadLetterDir)
	}
	if left := n.unsettled(context.Background()); left > 0 {
		err = errors.Join(err, fmt.Errorf("%w: %d; their agents have no acknowledgement and send them again", ErrUnsettled, left))
	}
	return err
}

// awaitSettled polls until no loop holds an admitted packet; it returns how
// many are left when the context ends, or when no analyzer is there to take
// them.
func (n *Node) awaitSettled(ctx context.Context) int {
	poll := time.NewTicker(dispatch.TickEvery)
	defer poll.Stop()
	for {
		left := n.unsettled(ctx)
		if left == 0 || n.shared.Table.Load().Empty() && n.counters().InFlight == 0 {
			return left
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
func (n *Node) unsettled(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	sum := 0
	for _, l := range n.loops {
		left := make(chan int, 1) // the loop may answer after we have gone
		if l.Do(ctx, func(p *pump.Pump) { left <- p.Core().Unsettled() }) != nil {
			sum++
			continue
		}
		sum += <-left
	}
	return sum
}
