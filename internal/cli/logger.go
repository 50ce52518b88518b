package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// An OptionError tells which of the log's two options had a value that does
// not exist, and what would have been accepted.
type OptionError struct {
	Option string // "log-format" or "log-level"
	Value  string
	Accept string
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("%s %q: want %s", e.Option, e.Value, e.Accept)
}

// Logger returns a logger that writes to w: format is "text" or "json", level
// "debug", "info", "warn" (or "warning") or "error", in any case; empty means
// text and info. The error is an *OptionError. It sets no global default.
func Logger(format, level string, w io.Writer) (*slog.Logger, error) {
	opts := &slog.HandlerOptions{}
	switch strings.ToLower(level) {
	case "debug":
		opts.Level = slog.LevelDebug
	case "", "info":
		opts.Level = slog.LevelInfo
	case "warn", "warning":
		opts.Level = slog.LevelWarn
	case "error":
		opts.Level = slog.LevelError
	default:
		return nil, &OptionError{"log-level", level, "debug, info, warn or error"}
	}
	switch strings.ToLower(format) {
	case "", "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, &OptionError{"log-format", format, "text or json"}
}
