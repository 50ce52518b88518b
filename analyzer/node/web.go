package node

import (
	"encoding/json"
	"time"

	"sluice/analyzer/analysis"
	"sluice/analyzer/record"
	"sluice/internal/output"

	"github.com/valyala/fasthttp"
)

// Limits of the HTTP side. It serves operators and scrapers, so that few
// connections with small requests are plenty.
const (
	httpTimeout     = 5 * time.Second
	httpIdleTimeout = 30 * time.Second
	httpConcurrency = 256
	httpMaxBody     = 1 << 10
)

// Stats is the body of GET /stats.
type Stats struct {
	Name string `json:"name"`
	analysis.Snapshot
	UptimeSeconds float64 `json:"uptime_seconds"`
	Connections   int     `json:"connections"`

	// DroppedLogLines had nobody who took them.
	DroppedLogLines uint64 `json:"dropped_log_lines"`
}

// Stats returns what was counted so far, all of one moment.
func (n *Node) Stats() Stats {
	now := time.Now()
	return Stats{
		Name: n.cfg.Name, Snapshot: n.analysis.Snapshot(now),
		UptimeSeconds: now.Sub(n.started).Seconds(), Connections: n.receiver.Connections(),
		DroppedLogLines: output.DroppedLines(n.log),
	}
}

// What Health.Status can be.
const (
	statusHealthy   = "healthy"
	statusUnhealthy = "unhealthy"
)

// Health is the body of GET /health.
type Health struct {
	Status string `json:"status"` // healthy or unhealthy
	Name   string `json:"name"`
	Reason string `json:"reason,omitempty"`
}

// Health says whether packets are taken: not while stopping, nor after a write
// to the receipts or the output that failed, until one succeeds.
func (n *Node) Health() Health {
	h := Health{Status: statusHealthy, Name: n.cfg.Name}
	if n.leaving.Load() {
		h.Reason = "stopping"
	}
	for what, f := range map[string]*record.File{"receipts": n.receipts, "output": n.output} {
		if f == nil {
			continue
		}
		if err := f.Err(); err != nil {
			h.Reason = what + ": " + err.Error()
		}
	}
	if h.Reason != "" {
		h.Status = statusUnhealthy
	}
	return h
}

func newWeb(n *Node) *fasthttp.Server {
	return &fasthttp.Server{
		Name:               "sluice analyzer",
		Handler:            n.route,
		ReadTimeout:        httpTimeout,
		WriteTimeout:       httpTimeout,
		IdleTimeout:        httpIdleTimeout,
		Concurrency:        httpConcurrency,
		MaxRequestBodySize: httpMaxBody,
		CloseOnShutdown:    true,
		Logger:             quietLogger{n},
	}
}

func (n *Node) route(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	switch {
	case path != "/stats" && path != "/metrics" && path != "/health":
		reply(ctx, fasthttp.StatusNotFound, map[string]string{"error": "there are only /stats, /metrics and /health"})
	case !ctx.IsGet() && !ctx.IsHead():
		ctx.Response.Header.Set("Allow", "GET, HEAD")
		reply(ctx, fasthttp.StatusMethodNotAllowed, map[string]string{"error": "only GET"})
	case path == "/stats":
		reply(ctx, fasthttp.StatusOK, n.Stats())
	case path == "/metrics":
		n.exposition(ctx)
	default:
		h, status := n.Health(), fasthttp.StatusOK
		if h.Status != statusHealthy {
			status = fasthttp.StatusServiceUnavailable
		}
		reply(ctx, status, h)
	}
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
type quietLogger struct{ n *Node }

func (l quietLogger) Printf(format string, args ...any) {
	l.n.log.Debug("HTTP: a request failed", "error", format, "detail", args)
}
