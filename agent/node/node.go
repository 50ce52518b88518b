package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"sluice/agent/checkpoint"
	"sluice/agent/lines"
	"sluice/agent/ship"
	"sluice/agent/stream"
	"sluice/agent/tail"
	"sluice/internal/exposition"
	"sluice/internal/statusweb"
)

// Node is a running agent. Safe for concurrent use.
type Node struct {
	cfg     Config
	log     *slog.Logger
	started time.Time
	store   *checkpoint.Store
	shipper *ship.Shipper
	tailer  *tail.Tailer
	streams *stream.Streams
	bound   []net.Addr
	httpLn  net.Listener
	web     *statusweb.Server
	metrics *exposition.Exposition

	endTail  context.CancelFunc
	endSaves chan struct{}
	tailing  chan struct{} // closed when the tailer has ended
	piped    chan struct{} // closed when standard input has ended
	aside    sync.WaitGroup
	stop     sync.Once
	stopErr  error
}

// Start checks the configuration, opens the state, binds the addresses and
// starts to ship. stdin is read if the configuration says so.
func Start(cfg Config, stdin io.ReadCloser) (*Node, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, log: cfg.Log, started: time.Now(), endSaves: make(chan struct{}), tailing: make(chan struct{}), piped: make(chan struct{})}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if err := n.open(); err != nil {
		n.undo()
		return nil, err
	}
	n.run(stdin)
	return n, nil
}

// open acquires everything that can fail.
func (n *Node) open() (err error) {
	c := &n.cfg
	if n.store, err = checkpoint.Open(c.State, c.Agent, n.log); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if c.Location == nil {
		c.Location = time.Local
	}
	splitter := &lines.Splitter{MaxRecord: c.MaxLine, MaxLines: c.linesPerPacket(), First: c.Multiline}
	if n.shipper, err = ship.New(ship.Config{
		Addrs: c.Addrs, Agent: c.Agent, Token: c.Token, Compression: c.Compression, MaxAge: c.MaxAge,
		Memory: c.Memory, Buffer: c.Batch, Splitter: splitter, Location: c.Location, Now: c.Now, Store: n.store,
		Log: slog.New(softer{n.log.Handler()}),
	}); err != nil {
		return err
	}
	limit := tail.NewLimiter(c.RateLimit)
	n.tailer = tail.New(tail.Config{
		Patterns: c.Files, Exclude: c.Exclude, FromEnd: c.FromEnd, Once: c.Once,
		Batch: c.Batch, ReadAhead: int64(c.ReadAhead), Linger: c.Linger, Hold: c.Hold, Splitter: splitter,
		Limit: limit, Pairs: c.pairs(), Store: n.store, Shipper: n.shipper, Log: n.log,
	})
	n.streams = stream.New(stream.Config{Batch: c.Batch, Linger: c.Linger, Hold: c.Hold, Splitter: splitter, Limit: limit,
		Pairs: c.pairs(), Shipper: n.shipper, Log: n.log})
	for _, l := range c.Listen {
		addr, err := n.streams.Listen(l)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w", l, err)
		}
		n.bound = append(n.bound, addr)
	}
	if c.HTTP == "" {
		return nil
	}
	if n.httpLn, err = net.Listen("tcp", c.HTTP); err != nil {
		return fmt.Errorf("cannot listen for HTTP on %s: %w", c.HTTP, err)
	}
	return nil
}

// undo releases what open acquired before it failed.
func (n *Node) undo() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if n.streams != nil {
		n.streams.Stop(ctx)
	}
	if n.shipper != nil {
		_ = n.shipper.Close(ctx) // nothing was shipped
	}
	if n.store != nil {
		_ = n.store.Close() // the error that led here counts
	}
}

func (n *Node) run(stdin io.ReadCloser) {
	ctx, cancel := context.WithCancel(context.Background())
	n.endTail = cancel
	n.aside.Add(2)
	go func() {
		defer n.aside.Done()
		n.store.Run(n.endSaves)
	}()
	go func() {
		defer n.aside.Done()
		n.watch(n.endSaves)
	}()
	go func() {
		defer close(n.tailing)
		if len(n.cfg.Files) > 0 {
			n.tailer.Run(ctx)
		}
	}()
	if n.cfg.Stdin {
		n.streams.Read(stdin, "stdin", func(error) { close(n.piped) })
	} else {
		close(n.piped)
	}
	if n.httpLn != nil {
		n.metrics = newMetrics(n)
		n.web = newWeb(n)
		n.aside.Add(1)
		go func() {
			defer n.aside.Done()
			_ = n.web.Serve(n.httpLn) // ends with Shutdown
		}()
	}
	n.log.Info("agent started", "agent", n.cfg.Agent, "to", n.cfg.Addrs, "state", n.cfg.State, "http", n.HTTPAddr(), "listen", n.bound)
}

// HTTPAddr returns the bound address of /health, /stats and /metrics, "" if there is none.
func (n *Node) HTTPAddr() string {
	if n.httpLn == nil {
		return ""
	}
	return n.httpLn.Addr().String()
}

// Bound returns the addresses of Config.Listen, in its order.
func (n *Node) Bound() []net.Addr { return n.bound }

// Rescan looks for new files at once.
func (n *Node) Rescan() { n.tailer.Rescan() }

// Finished is closed when nothing is left to do: standard input has ended, and
// with Once the files are read. An agent that follows files is never finished,
// nor one that listens.
func (n *Node) Finished() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		<-n.piped
		if len(n.cfg.Listen) > 0 {
			return
		}
		<-n.tailing
		close(done)
	}()
	return done
}

// Stop reads no more, waits until what was read is settled, and saves the
// state. The error is ctx's if not all was settled, and wraps what saving said.
// With a state folder nothing is lost in either case.
func (n *Node) Stop(ctx context.Context) error {
	n.stop.Do(func() { n.stopErr = n.end(ctx) })
	return n.stopErr
}

func (n *Node) end(ctx context.Context) error {
	n.endTail()
	<-n.tailing
	n.streams.Stop(ctx)
	err := n.shipper.Close(ctx)
	close(n.endSaves)
	if n.web != nil {
		err = errors.Join(err, n.web.Shutdown())
	}
	n.aside.Wait()
	if saveErr := n.store.Close(); saveErr != nil {
		err = errors.Join(err, fmt.Errorf("state: %w", saveErr))
	}
	s := n.Stats()
	n.log.Info("agent stopped", "delivered_records", s.DeliveredRecords, "delivered_bytes", s.DeliveredBytes, "unanswered_packets", s.UnansweredPackets)
	return err
}
