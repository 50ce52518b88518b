package output

import (
	"io"
	"log/slog"
)

// handler is a log's handler above a Queue. Safe for concurrent use.
type handler struct {
	slog.Handler
	q *Queue
}

// NewHandler makes a handler that writes to q: build makes one that writes to
// any writer. Once q flows again after lines were dropped, a line says how many.
func NewHandler(q *Queue, build func(io.Writer) slog.Handler) slog.Handler {
	q.onResume(func(to io.Writer, dropped uint64) {
		slog.New(build(to)).Warn("log lines were dropped: nobody took them", "lines", dropped)
	})
	return handler{build(q), q}
}

// WithAttrs is slog.Handler's.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.q}
}

// WithGroup is slog.Handler's.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name), h.q} }

// DroppedLines is how many lines a log has dropped since the program's start;
// 0 for one that does not write to a [Queue].
func DroppedLines(log *slog.Logger) uint64 {
	if h, ok := log.Handler().(handler); ok {
		return h.q.Dropped()
	}
	return 0
}
