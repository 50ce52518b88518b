package api

import (
	"bytes"
	"runtime/debug"

	"github.com/valyala/fasthttp"

	"sluice/internal/exposition"
	"sluice/server/stats"
)

// serve answers one request. A panic costs that request and its connection,
// not the server.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic while serving HTTP", "path", string(ctx.Path()), "panic", p, "stack", string(debug.Stack()))
			s.refuse(ctx, &refusal{status: fasthttp.StatusInternalServerError, text: "internal error", hangUp: true})
		}
	}()
	s.counts.requests.Add(1)
	late := false
	if c, ok := ctx.Conn().(*conn); ok {
		c.linger.Store(false)
		late = c.late
	}
	if late || s.ln.crowded() {
		ctx.SetConnectionClose()
	}
	if hasTransferEncoding(&ctx.Request.Header) {
		// Two ways to say where a body ends are how requests are smuggled past
		// proxies, and a length is needed to be refused before it is read.
		s.refuse(ctx, &refusal{status: fasthttp.StatusLengthRequired, field: "Transfer-Encoding", text: "is not supported; send a Content-Length", hangUp: true})
		return
	}
	switch string(ctx.Path()) {
	case "/ingest":
		if allowed(ctx, s, fasthttp.MethodPost) {
			s.ingest(ctx, late)
		}
	case "/stats":
		if allowed(ctx, s, fasthttp.MethodGet) {
			reply(ctx, fasthttp.StatusOK, s.stats())
		}
	case "/metrics":
		if allowed(ctx, s, fasthttp.MethodGet) {
			s.exposition(ctx)
		}
	case "/health":
		if allowed(ctx, s, fasthttp.MethodGet) {
			s.health(ctx)
		}
	case "/healthz":
		if allowed(ctx, s, fasthttp.MethodGet) {
			reply(ctx, fasthttp.StatusOK, statusAnswer{"alive"})
		}
	case "/readyz":
		if allowed(ctx, s, fasthttp.MethodGet) {
			s.ready(ctx)
		}
	default:
		s.refuse(ctx, &refusal{status: fasthttp.StatusNotFound, text: "there are only /ingest, /stats, /metrics, /health, /healthz and /readyz"})
	}
}

func allowed(ctx *fasthttp.RequestCtx, s *Server, method string) bool {
	got := string(ctx.Method())
	if got == method || got == fasthttp.MethodHead && method == fasthttp.MethodGet {
		return true
	}
	ctx.Response.Header.Set("Allow", method)
	s.refuse(ctx, &refusal{status: fasthttp.StatusMethodNotAllowed, text: "only " + method + " is served here"})
	return false
}

// stats is everything that /stats and /metrics tell.
func (s *Server) stats() stats.Snapshot {
	snapshot := s.backend.Stats()
	snapshot.HTTP = s.counts.snapshot()
	return snapshot
}

func (s *Server) exposition(ctx *fasthttp.RequestCtx) {
	if err := s.metrics.Write(ctx); err != nil { // a bug of ours: half of an answer would look like a whole one
		s.log.Error("cannot answer /metrics", "error", err)
		s.refuse(ctx, &refusal{status: fasthttp.StatusInternalServerError, text: "internal error"})
		return
	}
	ctx.SetContentType(exposition.ContentType)
}

func (s *Server) health(ctx *fasthttp.RequestCtx) {
	h := s.backend.Health()
	status := fasthttp.StatusOK
	if h.Status == stats.Unhealthy {
		status = fasthttp.StatusServiceUnavailable
	}
	reply(ctx, status, h)
}

func (s *Server) ready(ctx *fasthttp.RequestCtx) {
	if s.backend.Ready() {
		reply(ctx, fasthttp.StatusOK, statusAnswer{"ready"})
		return
	}
	reply(ctx, fasthttp.StatusServiceUnavailable, statusAnswer{"not ready"})
}

// hasTransferEncoding looks at the header as it came: fasthttp forgets an
// "identity", with which a proxy in front may have judged otherwise.
func hasTransferEncoding(h *fasthttp.RequestHeader) bool {
	if h.ContentLength() == -1 {
		return true
	}
	const name = "transfer-encoding"
	for line := range bytes.Lines(h.RawHeaders()) {
		if len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return true
		}
	}
	return false
}
