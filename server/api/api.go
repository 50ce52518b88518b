// Package api is the HTTP side of the distributor: POST /ingest for senders
// that speak no frames, and /stats, /metrics, /health, /healthz and /readyz for
// those who watch. It judges requests; what is admitted is the Backend's decision.
//
// It is the only importer of fasthttp under server. What is used of it is
// reduced to what is safe here: bodies are streamed and so never allocated by
// a declared length, multipart is not parsed, every timeout is on, and the
// connections are counted by a listener of our own.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"sluice/internal/exposition"
	"sluice/protocol"
	"sluice/server/metrics"
	"sluice/server/stats"
)

// Backend is who takes the packets and knows the state: the node.
// Safe for concurrent use.
type Backend interface {
	// Sender makes the sender of a connection from an address.
	Sender(from netip.Addr) Sender
	Stats() stats.Snapshot
	Health() stats.Health
	Ready() bool
}

// Sender takes the packets of one connection. Safe for concurrent use.
type Sender interface {
	// Submit blocks until the body is admitted or refused: a plain or compressed
	// LogPacket that passed its scan, without a header. body is borrowed until
	// Submit returns. done may be nil; for an admitted body it is called exactly
	// once, from a loop's goroutine, and must not block.
	Submit(body []byte, messages int, done func(Outcome)) Admission
	// Close says that the connection is gone. What was admitted is still settled.
	Close()
}

// Admission is the answer to a submission. Code and RetryAfter matter only if
// it was not accepted. Immutable.
type Admission struct {
	Accepted   bool
	Code       protocol.NackCode
	Reason     string // for people; empty: the code says it
	RetryAfter time.Duration
}

// Outcome is the fate of an admitted packet: the analyzer that acknowledged it,
// or why none did. Immutable.
type Outcome struct {
	Delivered bool
	Kept      bool // not delivered, and kept as a dead letter, to be delivered later
	Analyzer  string
	Code      protocol.NackCode
}

// Config is what a Server needs. Immutable.
type Config struct {
	Listen      string // host:port
	MaxBody     int    // bytes of an /ingest body, also after inflating
	MaxFrame    int    // bytes of the packet that it becomes
	Concurrency int    // connections; 0 means DefaultConcurrency
	BodyMemory  int64  // bytes for bodies in the making; 0 means 32 of the largest
	Logger      *slog.Logger
}

// Server serves HTTP from Start to Shutdown. Safe for concurrent use.
type Server struct {
	cfg     Config
	backend Backend
	log     *slog.Logger
	ln      *listener
	http    *fasthttp.Server

	counts     counters
	metrics    *exposition.Exposition
	serving    atomic.Int64 // requests to /ingest
	maxServing int64
	memory     memory
	workspaces sync.Pool // of *workspace
	stopping   chan struct{}
	served     chan struct{} // closed when Serve has returned
	started    atomic.Bool
	stop       sync.Once
}

// New binds the address; nothing is served before Start. A port in use is a
// *net.OpError.
func New(cfg Config, backend Backend) (*Server, error) {
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = DefaultConcurrency
	}
	if cfg.BodyMemory <= 0 {
		cfg.BodyMemory = int64(cfg.MaxBody) * memoryBodies
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:        cfg,
		backend:    backend,
		log:        cfg.Logger,
		maxServing: int64(max(1, cfg.Concurrency*ingestPart/100)),
		stopping:   make(chan struct{}),
		served:     make(chan struct{}),
	}
	s.ln = newListener(ln, cfg.Concurrency, cfg.Logger, func() { s.counts.refused[forNoConnection].Add(1) })
	s.metrics = metrics.New(s.stats)
	s.memory.left.Store(cfg.BodyMemory)
	s.workspaces.New = func() any { return newWorkspace(cfg.MaxBody, cfg.MaxFrame) }
	s.http = &fasthttp.Server{
		Handler:                      s.serve,
		ErrorHandler:                 s.refuseMalformed,
		HeaderReceived:               bodyTimes,
		Concurrency:                  2*cfg.Concurrency + lateConnections(cfg.Concurrency), // the listener counts; evicted ones take a moment to end
		ReadBufferSize:               maxHeaderBytes,
		WriteBufferSize:              writeBufferBytes,
		ReadTimeout:                  headerTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxIdleWorkerDuration:        time.Second,
		MaxRequestBodySize:           streamAhead,
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		CloseOnShutdown:              true,
		NoDefaultServerHeader:        true,
		Logger:                       debugLogger{cfg.Logger},
	}
	return s, nil
}

// bodyTimes begins the time for the body when the header has come. A body that
// nearly always comes with it has the header's time.
func bodyTimes(h *fasthttp.RequestHeader) (times fasthttp.RequestConfig) {
	if n := h.ContentLength(); n < 0 || n > streamAhead {
		times.ReadTimeout = bodyTimeout
	}
	return times
}

// Start serves until Shutdown. Call it once.
func (s *Server) Start() {
	s.started.Store(true)
	go func() {
		defer close(s.served)
		if err := s.http.Serve(s.ln); err != nil {
			s.log.Error("HTTP is not served any more", "error", err)
		}
	}()
}

// Addr is the bound address.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Shutdown ends the waits of /ingest?wait with 504, accepts no more, and waits
// until every request is answered. What is still open when ctx ends is cut,
// and the context's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	var err error
	s.stop.Do(func() {
		close(s.stopping)
		err = s.ln.Close()
		if !s.started.Load() {
			return
		}
		// fasthttp closes the listener again, which is no fault, and tells.
		if e := s.http.ShutdownWithContext(ctx); e != nil && !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
		s.ln.cut()
		<-s.served
	})
	return err
}

// debugLogger takes what fasthttp says about connections: nothing that the
// operator could act on, and a peer could cause any amount of it. Immutable.
type debugLogger struct{ log *slog.Logger }

func (l debugLogger) Printf(format string, args ...any) {
	l.log.Debug("HTTP connection", "event", lazyText{format, args})
}
