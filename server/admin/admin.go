// Package admin serves Go's profiles (net/http/pprof) on an address of their
// own, for whoever runs the distributor: off unless asked for, and meant for the
// loopback interface, because a profile shows what is in memory and costs CPU.
//
// The obvious way, importing net/http/pprof beside a server that serves
// http.DefaultServeMux, shows profiles to everybody who may send packets. Here is a
// mux of our own, on a server with every deadline set, that serves few requests
// at a time and ends those that run when it is stopped.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"time"
)

const (
	headerTimeout = 2 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second // pprof adds the seconds that a profile is to take
	maxHeader     = 8 << 10
	// atATime is how many requests are served: a CPU profile, and a few looks at
	// the rest meanwhile.
	atATime = 4
)

// Server serves from Start to Shutdown. Safe for concurrent use.
type Server struct {
	ln      net.Listener
	http    *http.Server
	log     *slog.Logger
	end     context.CancelFunc // of all requests
	slots   chan struct{}      // one for each request; all of them for Shutdown
	started atomic.Bool
	served  chan struct{} // closed when Serve has returned
	stop    sync.Once
	stopErr error
}

// Listen binds the address; nothing is served before Start. A port in use is a
// *net.OpError.
func Listen(addr string, log *slog.Logger) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{ln: ln, log: log, slots: make(chan struct{}, atATime), served: make(chan struct{})}
	all, end := context.WithCancel(context.Background())
	s.end = end
	s.http = &http.Server{
		Handler:           s.guard(profiles()),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return all },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	s.http.SetKeepAlivesEnabled(false) // who comes seldom need not keep a connection
	return s, nil
}

// profiles are what `go tool pprof` and `go tool trace` ask for.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/debug/pprof/", http.StatusFound)
	})
	return mux
}

// guard serves a few requests at a time, and none that came by a name which may
// be anybody's.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !plainHost(r.Host) {
			http.Error(w, "use an IP address or localhost: other names can be made to lead here by a page in a browser", http.StatusForbidden)
			return
		}
		select {
		case s.slots <- struct{}{}:
		default:
			http.Error(w, "too many requests at a time", http.StatusServiceUnavailable)
			return
		}
		defer func() { <-s.slots }()
		next.ServeHTTP(w, r)
	})
}

// plainHost says whether a Host header names this machine in a way that no
// foreign name server can answer for (DNS rebinding).
func plainHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return host == "localhost" || net.ParseIP(host) != nil
}

// Start serves until Shutdown. Call it once, and not after Shutdown.
func (s *Server) Start() {
	s.started.Store(true)
	go func() {
		defer close(s.served)
		if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("profiles are not served any more", "error", err)
		}
	}()
}

// Addr is the bound address.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Shutdown ends the profiles that run, which then are as long as they were until
// now, and returns when the last request is done. What is not when ctx ends is
// cut off, and the context's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop.Do(func() {
		s.end()
		if s.stopErr = s.http.Shutdown(ctx); s.stopErr != nil {
			s.stopErr = errors.Join(s.stopErr, s.http.Close())
		}
		if s.started.Load() {
			<-s.served
		} else { // the HTTP server does not know its listener yet
			s.stopErr = errors.Join(s.stopErr, s.ln.Close())
		}
		for range atATime { // a request that was cut off has not ended by that
			s.slots <- struct{}{}
		}
	})
	return s.stopErr
}
