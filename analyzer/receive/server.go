package receive

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"sluice/internal/ratelog"
)

// Server receives packets on any number of listeners. Safe for concurrent use.
type Server struct {
	cfg Config
	log *ratelog.Limiter // whatever peers do to us

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	stopping  chan struct{}  // closed by stop, with mu
	running   sync.WaitGroup // one for each connection
}

// New checks the configuration and returns a server that serves nothing yet.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, log: ratelog.New(cfg.Logger, time.Now), listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{}, stopping: make(chan struct{})}, nil
}

// Serve accepts connections until Shutdown or Close, and then returns nil. It
// owns the listener from the call on. No error of accept ends it: running out
// of descriptors is a reason to wait, not to stop.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	if s.isClosing() {
		s.mu.Unlock()
		return ln.Close()
	}
	s.listeners[ln] = struct{}{}
	s.mu.Unlock()
	defer ln.Close()

	backoff := time.Duration(0)
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			backoff = 0
			s.start(nc)
		case s.isClosing():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err // closed by somebody else
		default:
			backoff = min(max(2*backoff, minAcceptBackoff), maxAcceptBackoff)
			s.log.Warn("cannot accept a connection", "error", err, "retry_in", backoff)
			select {
			case <-time.After(backoff):
			case <-s.stopping:
				return nil
			}
		}
	}
}

// start runs a connection, or closes it if the server is closing.
func (s *Server) start(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	if s.isClosing() {
		s.mu.Unlock()
		nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.running.Done()
		c.run()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
}

// Connections returns how many connections are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Shutdown stops accepting, sends GOAWAY to every sender, handles and
// acknowledges what was received, answers what still arrives with NACK
// draining, and closes each connection so that its last ACK arrives. When ctx
// ends first, the rest is closed as by Close and ctx's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, c := range s.stop() {
		go c.drain()
	}
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	defer s.log.Flush()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		for _, c := range s.stop() {
			c.kill()
		}
		return ctx.Err()
	}
}

// Close cuts all connections off at once, unanswered, and returns when the
// handlers that are running have returned.
func (s *Server) Close() {
	for _, c := range s.stop() {
		c.kill()
	}
	s.running.Wait()
	s.log.Flush()
}

// stop closes the listeners and returns the connections that are left.
func (s *Server) stop() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isClosing() {
		close(s.stopping)
	}
	for ln := range s.listeners {
		ln.Close()
	}
	clear(s.listeners)
	left := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		left = append(left, c)
	}
	return left
}

func (s *Server) isClosing() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}
