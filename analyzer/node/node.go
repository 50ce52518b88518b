// Package node is a whole analyzer: it receives packets, keeps receipts and
// output if asked to, counts, and answers /stats, /metrics and /health. Any number of
// them run in one process.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sluice/analyzer/analysis"
	"sluice/analyzer/receive"
	"sluice/analyzer/record"
	"sluice/internal/exposition"
	"sluice/internal/statusweb"
)

// Node is a running analyzer. Safe for concurrent use.
type Node struct {
	cfg      Config
	log      *slog.Logger
	started  time.Time
	analysis *analysis.Analysis
	receiver *receive.Server
	receipts *record.File // nil: none
	output   *record.File // nil: none

	listener, httpListener net.Listener
	web                    *statusweb.Server
	metrics                *exposition.Exposition
	serving                sync.WaitGroup
	leaving                atomic.Bool
	ended                  sync.Once
}

// Start checks the configuration, opens the files, binds both addresses and
// serves. The error of a bad configuration is that of [Config.Check]; of an
// address in use it names the address.
func Start(cfg Config) (*Node, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, log: cfg.Logger, started: time.Now()}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if err := n.open(); err != nil {
		n.close()
		return nil, err
	}
	n.serve()
	n.log.Info("analyzer started", "name", cfg.Name, "listen", n.Addr(), "http", n.HTTPAddr(), "discard", cfg.Discard)
	return n, nil
}

// open acquires everything that can fail.
func (n *Node) open() (err error) {
	if n.receipts, err = openRecord(n.cfg.Receipts); err != nil {
		return fmt.Errorf("receipts: %w", err)
	}
	if n.output, err = openRecord(n.cfg.Output); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	if n.listener, err = listen("packets", n.cfg.Listen, DefaultListen); err != nil {
		return err
	}
	if n.httpListener, err = listen("HTTP", n.cfg.HTTP, DefaultHTTP); err != nil {
		return err
	}
	window := 0
	if n.cfg.Discard {
		window = -1
	}
	n.analysis = analysis.New(window)
	rc := receive.Config{Name: n.cfg.Name, MaxFrame: n.cfg.MaxFrame, Delay: n.cfg.Delay, Logger: n.log}
	if n.cfg.Discard {
		rc.Discard = true
		rc.Discarded = func(frames, bytes int) { n.analysis.Count(uint64(frames), uint64(bytes)) }
	} else {
		rc.NewSession = n.newSession
	}
	n.receiver, err = receive.New(rc)
	return err
}

func (n *Node) serve() {
	n.metrics = newMetrics(n)
	n.web = newWeb(n)
	n.serving.Add(2)
	go func() {
		defer n.serving.Done()
		if err := n.receiver.Serve(n.listener); err != nil {
			n.log.Error("receiving ended", "error", err)
		}
	}()
	go func() {
		defer n.serving.Done()
		if err := n.web.Serve(n.httpListener); err != nil && !n.leaving.Load() {
			n.log.Error("HTTP ended", "error", err)
		}
	}()
}

func openRecord(path string) (*record.File, error) {
	if path == "" {
		return nil, nil
	}
	return record.Open(path)
}

func listen(what, address, standard string) (net.Listener, error) {
	if address == "" {
		address = standard
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for %s on %s: %w", what, address, err)
	}
	return ln, nil
}

// Addr and HTTPAddr return the bound addresses.
func (n *Node) Addr() string { return n.listener.Addr().String() }

// HTTPAddr returns the bound address of /stats, /metrics and /health.
func (n *Node) HTTPAddr() string { return n.httpListener.Addr().String() }

// Name returns the analyzer's name.
func (n *Node) Name() string { return n.cfg.Name }

// Stop handles and acknowledges what was received, tells senders to go, and
// ends; it returns ctx's error if that was cut short.
func (n *Node) Stop(ctx context.Context) error {
	n.leaving.Store(true)
	err := n.receiver.Shutdown(ctx)
	n.end(ctx)
	return err
}

// Kill closes all sockets at once, answering nobody, as when the process dies.
func (n *Node) Kill() {
	n.leaving.Store(true)
	n.receiver.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n.end(ctx)
}

// end stops the rest, in reverse order of its start.
func (n *Node) end(ctx context.Context) {
	n.ended.Do(func() {
		n.web.ShutdownWithContext(ctx)
		n.httpListener.Close()
		n.serving.Wait()
		n.close()
		n.log.Info("analyzer stopped", "name", n.cfg.Name, "received_packets", n.Stats().ReceivedPackets)
	})
}

func (n *Node) close() {
	for _, ln := range []net.Listener{n.listener, n.httpListener} {
		if ln != nil {
			ln.Close()
		}
	}
	for _, f := range []*record.File{n.receipts, n.output} {
		if f != nil {
			f.Close()
		}
	}
}
