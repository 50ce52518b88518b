// Package statusweb serves /stats, /metrics and /health of the programs that
// serve nothing else over HTTP: the analyzer and the agent.
package statusweb

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/valyala/fasthttp"

	"sluice/internal/exposition"
)

// It serves operators and scrapers, so that few connections with small requests
// are plenty.
const (
	timeout     = 5 * time.Second
	idleTimeout = 30 * time.Second
	concurrency = 256
	maxBody     = 1 << 10 // bytes of a request
)

// Health is the body of GET /health. Immutable.
type Health struct {
	Status string `json:"status"`         // healthy or unhealthy
	Name   string `json:"name,omitempty"` // of the program that answers
	Reason string `json:"reason,omitempty"`
}

// The values of Health.Status.
const (
	Healthy   = "healthy"
	Unhealthy = "unhealthy"
)

// Metrics writes what /metrics answers; *exposition.Exposition does.
type Metrics interface{ Write(w io.Writer) error }

// Source is what the answers are made of. Its functions are called by several
// requests at a time.
type Source struct {
	Program string     // for the Server header
	Stats   func() any // the body of /stats, which must have a form in JSON
	Health  func() Health
	Metrics Metrics
	Log     *slog.Logger
}

// Server serves the three on a listener. Safe for concurrent use.
type Server = fasthttp.Server

// New returns a server that has not been started.
func New(s Source) *Server {
	return &Server{
		Name:               "sluice " + s.Program,
		Handler:            s.route,
		ReadTimeout:        timeout,
		WriteTimeout:       timeout,
		IdleTimeout:        idleTimeout,
		Concurrency:        concurrency,
		MaxRequestBodySize: maxBody,
		CloseOnShutdown:    true,
		Logger:             quietLogger{s.Log},
	}
}

func (s Source) route(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	switch {
	case path != "/stats" && path != "/metrics" && path != "/health":
		reply(ctx, fasthttp.StatusNotFound, failure{"there are only /stats, /metrics and /health"})
	case !ctx.IsGet() && !ctx.IsHead():
		ctx.Response.Header.Set("Allow", "GET, HEAD")
		reply(ctx, fasthttp.StatusMethodNotAllowed, failure{"only GET"})
	case path == "/stats":
		reply(ctx, fasthttp.StatusOK, s.Stats())
	case path == "/metrics":
		s.metrics(ctx)
	default:
		h, status := s.Health(), fasthttp.StatusOK
		if h.Status != Healthy {
			status = fasthttp.StatusServiceUnavailable
		}
		reply(ctx, status, h)
	}
}

func (s Source) metrics(ctx *fasthttp.RequestCtx) {
	if err := s.Metrics.Write(ctx); err != nil { // a bug of ours: half of an answer would look like a whole one
		s.Log.Error("cannot answer /metrics", "error", err)
		ctx.ResetBody()
		reply(ctx, fasthttp.StatusInternalServerError, failure{"internal"})
		return
	}
	ctx.SetContentType(exposition.ContentType)
}

type failure struct {
	Error string `json:"error"`
}

func reply(ctx *fasthttp.RequestCtx, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // nothing that is replied holds what JSON lacks
		status, text = fasthttp.StatusInternalServerError, []byte(`{"error":"internal"}`)
	}
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.SetBody(append(text, '\n'))
}

// quietLogger keeps what fasthttp says about odd clients at debug level.
type quietLogger struct{ log *slog.Logger }

func (l quietLogger) Printf(format string, args ...any) {
	l.log.Debug("HTTP: a request failed", "error", fmt.Sprintf(format, args...))
}
