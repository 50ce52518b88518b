// Package loop runs the event loops: it gives a pump its sockets and its thread.
//
// One Loop is one goroutine with one epoll, its own agent connections, its own
// connection to every analyzer, and its own pump. A packet goes from socket to
// socket inside it: no lock, no queue, no hand-over.
//
// It is the only importer of gnet under server. What is used of gnet is reduced to
// what is safe: read everything, write only when OutboundBuffered is 0, close,
// execute one task. So gnet never holds more of a connection than one write, and a
// slow peer's bytes stay in our own, bounded, windows.
package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"sluice/server/dispatch"
	"sluice/server/intake"
	"sluice/server/pump"
	"sluice/server/stream"
)

// readBytes is what one read takes at most. Against 64 KiB it was worth a third
// of the throughput in the prototype.
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

// Loop is one event loop. Its pump and connections are owned by its goroutine;
// the methods that say so are safe for concurrent use.
type Loop struct {
	gnet.BuiltinEventEngine

	index  int
	pump   *pump.Pump
	events Events
	log    *slog.Logger
	epoch  time.Time

	client *gnet.Client
	engine gnet.EventLoop

	agents    atomic.Int64 // open connections of agents
	stopped   atomic.Bool
	ticker    ticker
	streams   *stream.Group
	yieldedAt time.Duration

	// Made once: a closure per turn would allocate.
	flushTask, mailTask gnet.Runnable
	resume              func()
}

// Config is what a loop needs. Immutable.
type Config struct {
	Index     int
	Dispatch  dispatch.Config
	Shared    *dispatch.Shared
	Analyzers int
	Events    Events
	Logger    *slog.Logger
	Epoch     time.Time // the same for all loops
}

// Start runs a loop until Stop.
func Start(cfg Config) (*Loop, error) {
	l := &Loop{index: cfg.Index, events: cfg.Events, log: cfg.Logger, epoch: cfg.Epoch, ticker: newTicker()}
	l.pump = pump.New(dispatch.New(cfg.Dispatch, cfg.Shared, cfg.Analyzers), host{l})
	l.streams = stream.NewGroup(l.pump, l.execute)
	l.flushTask = gnet.RunnableFunc(func(context.Context) error {
		l.pump.FlushNow()
		l.yield()
		return nil
	})
	l.resume = func() { _ = l.execute(l.pump.Resume) } // a loop that has stopped resumes nothing
	l.mailTask = gnet.RunnableFunc(func(context.Context) error {
		l.pump.ReadMail()
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
	l.ticker.start(func() error {
		return l.execute(func() {
			l.ticker.pending.Store(false)
			l.pump.Tick()
		})
	})
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
	opened := make(chan gnet.EventLoop, 1)
	if _, err := l.client.EnrollContext(here, &conn{loop: l, opened: opened}); err != nil {
		return err
	}
	l.engine = <-opened
	return nil
}

// host is the loop as its pump sees it.
type host struct{ *Loop }

// Now is the time since the epoch.
func (h host) Now() time.Duration { return time.Since(h.epoch) }

// FlushSoon flushes after the callbacks of the next pass over the ready
// connections; gnet has no hook at the end of a pass.
func (h host) FlushSoon() bool {
	return h.engine.Execute(context.Background(), h.flushTask) == nil
}

// resumeGap is how long the loop looks at what is ready between two turns that cost
// much. Tasks that a task queues are run at once, up to 256 of them, before gnet
// looks at a socket again; so that one is queued from outside, when this one is over.
const resumeGap = 100 * time.Microsecond

// ResumeSoon resumes after the loop has looked at its sockets.
func (h host) ResumeSoon() bool {
	if h.stopped.Load() {
		return false
	}
	time.AfterFunc(resumeGap, h.resume)
	return true
}

// SetPace sets the time between ticks.
func (h host) SetPace(every time.Duration) { h.ticker.setPace(every) }

// WakeForMail has the intake read. Safe for concurrent use.
func (h host) WakeForMail() error {
	if h.stopped.Load() {
		return ErrStopped
	}
	return h.engine.Execute(context.Background(), h.mailTask)
}

// After runs f after a time. Safe for concurrent use.
func (h host) After(d time.Duration, f func()) { time.AfterFunc(d, f) }

// LinkChanged passes on what has become of a link.
func (h host) LinkChanged(e dispatch.LinkEvent) {
	switch analyzer := e.Link.Index(); e.Change {
	case dispatch.LinkIsReady:
		h.events.LinkReady(h.index, analyzer)
	case dispatch.LinkIsSuspect:
		h.events.LinkSuspect(h.index, analyzer, e.Reason)
	case dispatch.LinkIsWell:
		h.events.LinkWell(h.index, analyzer)
	case dispatch.LinkIsDraining:
		h.events.LinkDraining(h.index, analyzer, e.Reason)
	case dispatch.LinkIsLost:
		h.events.LinkLost(h.index, analyzer, e.Reason)
	}
}

// Index is the loop's number. Safe for concurrent use.
func (l *Loop) Index() int { return l.index }

// Agents returns the number of open agent connections, those on their way in
// included. Safe for concurrent use.
func (l *Loop) Agents() int { return int(l.agents.Load()) }

// Intake is how other goroutines give frames to the loop. Safe for concurrent use.
func (l *Loop) Intake() *intake.Intake { return l.pump.Intake() }

// AddAgent gives an accepted connection to the loop, which owns it from then
// on. ended, if not nil, is called exactly once when the connection is gone, by
// the loop's goroutine; it must not block. On an error the connection is closed
// and ended is not called. Safe for concurrent use.
func (l *Loop) AddAgent(c net.Conn, ended func()) error {
	l.agents.Add(1)
	from := peer(c)
	err := l.join(c, func(t pump.Transport) *pump.Conn {
		return l.pump.AddAgent(t, from, func() {
			l.agents.Add(-1)
			if ended != nil {
				ended()
			}
		})
	})
	if err != nil {
		l.agents.Add(-1)
	}
	return err
}

// join makes a connection a transport of the pump: by its descriptor in gnet, or,
// where the bytes are not those of a descriptor, by goroutines of its own.
func (l *Loop) join(c net.Conn, add func(pump.Transport) *pump.Conn) error {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
		return l.enroll(c, func(c *conn) { c.piped = add(c) })
	}
	return l.streams.Join(c, add)
}

// peer is the address at the other end of a connection; zero if it has none.
func peer(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr()
	}
	return netip.Addr{}
}

// AddLink gives a dialled connection to the link of an analyzer. Safe for
// concurrent use.
func (l *Loop) AddLink(analyzer int, c net.Conn) error {
	return l.join(c, func(t pump.Transport) *pump.Conn { return l.pump.AddLink(t, analyzer) })
}

// RetireLink lets the link of an analyzer settle what it was handed and closes it
// then. Events tell when it is lost. Safe for concurrent use.
func (l *Loop) RetireLink(analyzer int, reason string) {
	_ = l.execute(func() { l.pump.RetireLink(analyzer, reason) }) // a loop that has stopped has no links
}

func (l *Loop) enroll(c net.Conn, join func(*conn)) error {
	if l.stopped.Load() {
		c.Close()
		return ErrStopped
	}
	cc := &conn{loop: l, join: join}
	if _, err := l.client.EnrollContext(c, cc); err != nil {
		return err
	}
	if !cc.joined.Load() {
		return errNotJoined
	}
	return nil
}

// Do runs f on the loop, in a turn, and waits until it has. When the context ends
// first, f may still run later. Safe for concurrent use, not from the loop itself.
func (l *Loop) Do(ctx context.Context, f func(*pump.Pump)) error {
	done := make(chan struct{})
	err := l.execute(func() {
		defer close(done)
		l.pump.Do(f)
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

// Drain takes no more submissions and stops admission; what was promised before
// is dispatched first, so that the drain settles it. Safe for concurrent use.
func (l *Loop) Drain(ctx context.Context) error {
	l.Intake().Close()
	return l.Do(ctx, (*pump.Pump).Drain)
}

// Finish says the final frames on every agent's connection and waits until the
// peers have read them, at most until the context ends. For the end of a drain.
func (l *Loop) Finish(ctx context.Context) error {
	if err := l.Do(ctx, (*pump.Pump).Finish); err != nil {
		return err
	}
	poll := time.NewTicker(dispatch.TickEvery)
	defer poll.Stop()
	for l.Agents() > 0 {
		select {
		case <-ctx.Done():
			return nil // the peers had their time
		case <-poll.C:
		}
	}
	return nil
}

// Stop ends the loop at once and closes its connections. Safe for concurrent use;
// Drain and Finish first to lose no answer.
func (l *Loop) Stop() error {
	if l.stopped.Swap(true) {
		return nil
	}
	l.ticker.end()
	err := l.client.Stop()
	l.streams.Close()
	l.Intake().Abandon()
	return err
}
