// Package loop runs the event loops: bytes in, through the core, bytes out.
//
// One Loop is one goroutine with one epoll, its own agent connections, its
// own connection to every analyzer, and its own dispatch.Core. A packet goes
// from socket to socket inside it: no lock, no queue, no hand-over.
//
// It is the only importer of gnet under server. What is used of gnet is
// reduced to what is safe: read everything, write only when OutboundBuffered
// is 0, close, execute one task. So gnet never holds more of a connection
// than one write, and a slow peer's bytes stay in our own, bounded, stages.
package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"sluice/server/dispatch"
)

// readBytes is what one read takes at most. Against 64 KiB it was worth a
// third of the throughput in the prototype (shared DESIGN, promise 5).
const readBytes = 256 << 10

// ErrStopped says that the loop runs no more.
var ErrStopped = errors.New("event loop is stopped")

// errNotJoined: gnet tells nobody when epoll refuses a descriptor.
var errNotJoined = errors.New("the event loop could not watch the connection")

// Events hears of the links of a loop. Called by the loop's goroutine; must
// not block.
type Events interface {
	LinkReady(loop, analyzer int)
	LinkSuspect(loop, analyzer int, reason string)  // it may be lost soon
	LinkWell(loop, analyzer int)                    // suspect no more; or, out of the table, it has answered a PING
	LinkDraining(loop, analyzer int, reason string) // takes nothing new; LinkLost follows
	LinkLost(loop, analyzer int, reason string)
}

// Loop is one event loop. Its core and connections are owned by its
// goroutine; the methods that say so are safe for concurrent use.
type Loop struct {
	gnet.BuiltinEventEngine

	index  int
	core   *dispatch.Core
	events Events
	log    *slog.Logger
	epoch  time.Time

	client *gnet.Client
	engine gnet.EventLoop
	home   gnet.Conn // our own connection, which gives access to the engine

	sessions atomic.Int64 // open connections of agents
	stopped  atomic.Bool
	ticker   ticker

	mail mailbox

	// Reused by flush; owned by the goroutine.
	dirtyLinks    []*dispatch.Link
	dirtySessions []*dispatch.Session
	doomed        []*dispatch.Link
	happened      []dispatch.LinkEvent
	lost          []*conn
	blocked       []*conn // have something to write, and the socket is full
	lingering     []*conn // said their last words
	all           map[*conn]struct{}
	flushing      bool
	quietTicks    int  // ticks since the last traffic, as far as idleAfter+1
	deferred      bool // a flush is on its way
	yieldedAt     time.Duration
	gather        gathering
	flushTask     gnet.Runnable // made once: a closure per turn would allocate
}

// Config is what a loop needs. Immutable.
type Config struct {
	Index     int
	Dispatch  dispatch.Config
	Shared    *dispatch.Shared
	Analyzers int
	Events    Events
	Keeper    Keeper
	Logger    *slog.Logger
	Epoch     time.Time // the same for all loops
}

// Start runs a loop until Stop.
func Start(cfg Config) (*Loop, error) {
	l := &Loop{
		index:  cfg.Index,
		core:   dispatch.New(cfg.Dispatch, cfg.Shared, cfg.Analyzers),
		events: cfg.Events,
		log:    cfg.Logger,
		epoch:  cfg.Epoch,
		ticker: newTicker(),
		all:    make(map[*conn]struct{}),
	}
	l.initMail(&cfg)
	l.flushTask = gnet.RunnableFunc(func(context.Context) error {
		l.deferred = false
		now := l.beginTurn()
		l.flush()
		l.yield(now)
		return nil
	})
	client, err := gnet.NewClient(l,
		gnet.WithNumEventLoop(1),
		gnet.WithReadBufferCap(readBytes),
		gnet.WithTCPNoDelay(gnet.TCPNoDelay),
		gnet.WithLogger(gnetLog{cfg.Logger}),
	)
	if err != nil {
		return nil, fmt.Errorf("event loop %d: %w", cfg.Index, err)
	}
	if err := client.Start(); err != nil {
		return nil, fmt.Errorf("event loop %d: %w", cfg.Index, err)
	}
	l.client = client
	if err := l.moveIn(); err != nil {
		_ = client.Stop()
		return nil, fmt.Errorf("event loop %d: %w", cfg.Index, err)
	}
	l.ticker.start(func() error { return l.execute(l.tick) })
	return l, nil
}

// moveIn enrolls a connection of our own, because gnet gives a client's event
// loop only through a connection in it.
func (l *Loop) moveIn() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer ln.Close()
	here, err := net.DialTimeout("tcp", ln.Addr().String(), 5*time.Second)
	if err != nil {
		return err
	}
	there, err := ln.Accept()
	if err != nil {
		here.Close()
		return err
	}
	defer there.Close() // the loop's end hears a FIN and closes; the engine is known by then
	home := &conn{}
	opened := make(chan struct{})
	home.opened = opened
	gc, err := l.client.EnrollContext(here, home)
	if err != nil {
		return err
	}
	<-opened
	l.home, l.engine = gc, home.engine
	return nil
}

// Index is the loop's number. Safe for concurrent use.
func (l *Loop) Index() int { return l.index }

// Sessions returns the number of open agent connections, those on their way
// in included. Safe for concurrent use.
func (l *Loop) Sessions() int { return int(l.sessions.Load()) }

// AddAgent gives an accepted connection to the loop, which owns it from then
// on. ended, if not nil, is called exactly once when the connection is gone, by
// the loop's goroutine; it must not block. On an error the connection is closed
// and ended is not called. Safe for concurrent use.
func (l *Loop) AddAgent(c net.Conn, ended func()) error {
	l.sessions.Add(1)
	if err := l.enroll(c, &conn{kind: agentConn, ended: ended}); err != nil {
		l.sessions.Add(-1)
		return err
	}
	return nil
}

// AddLink gives a dialled connection to the link of an analyzer. Safe for
// concurrent use.
func (l *Loop) AddLink(analyzer int, c net.Conn) error {
	return l.enroll(c, &conn{kind: linkConn, analyzer: analyzer})
}

// RetireLink lets the link of an analyzer settle what it was handed and closes it
// then. Events tell when it is lost. Safe for concurrent use.
func (l *Loop) RetireLink(analyzer int, reason string) {
	_ = l.execute(func() { // a loop that has stopped has no links
		l.beginTurn()
		l.core.Retire(l.core.Links()[analyzer], reason)
		l.flush()
	})
}

func (l *Loop) enroll(c net.Conn, cc *conn) error {
	if l.stopped.Load() {
		c.Close()
		return ErrStopped
	}
	if _, err := l.client.EnrollContext(c, cc); err != nil {
		return err
	}
	if !cc.joined.Load() {
		return errNotJoined
	}
	return nil
}

// Do runs f on the loop and waits until it has. When the context ends first, f
// may still run later. Safe for concurrent use, not
// from the loop itself.
func (l *Loop) Do(ctx context.Context, f func(*dispatch.Core)) error {
	done := make(chan struct{})
	err := l.execute(func() {
		defer close(done)
		l.core.BeginTurn(l.now())
		f(l.core)
		l.flush()
	})
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Loop) execute(f func()) error {
	if l.stopped.Load() {
		return ErrStopped
	}
	return l.engine.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
		f()
		return nil
	}))
}

func (l *Loop) now() time.Duration { return time.Since(l.epoch) }

// Stop ends the loop at once and closes its connections. Safe for concurrent
// use; drain first (Do with Core.Drain, then Finish) to lose no answer.
func (l *Loop) Stop() error {
	if l.stopped.Swap(true) {
		return nil
	}
	l.ticker.end()
	err := l.client.Stop()
	l.mail.soon.Stop()
	l.mail.abandon()
	return err
}

// Finish says the last words on every session and waits until the peers have
// read them, at most until the context ends. For the end of a drain.
func (l *Loop) Finish(ctx context.Context) error {
	if err := l.Do(ctx, (*dispatch.Core).Finish); err != nil {
		return err
	}
	poll := time.NewTicker(dispatch.TickEvery)
	defer poll.Stop()
	for l.sessions.Load() > 0 {
		select {
		case <-ctx.Done():
			return nil // the peers had their time
		case <-poll.C:
		}
	}
	return nil
}
