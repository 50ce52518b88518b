package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"sluice/internal/output"
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
// text and info. Where w is an [output.Queue], the log tells of lines that were
// dropped. The error is an *OptionError. It sets no global default.
func Logger(format, level string, w io.Writer) (*slog.Logger, error) {
	log, _, err := AdjustableLogger(format, level, w)
	return log, err
}

// AdjustableLogger is Logger for a program whose level can change while it runs.
// The level is never nil.
func AdjustableLogger(format, level string, w io.Writer) (*slog.Logger, *slog.LevelVar, error) {
	var at slog.LevelVar
	from, err := Level(level)
	if err != nil {
		return nil, &at, err
	}
	at.Set(from)
	opts := &slog.HandlerOptions{Level: &at}
	var build func(io.Writer) slog.Handler
	switch strings.ToLower(format) {
	case "", "text":
		build = func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, opts) }
	case "json":
		build = func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, opts) }
	default:
		return nil, &at, &OptionError{"log-format", format, "text or json"}
	}
	if q, ok := w.(*output.Queue); ok {
		return slog.New(output.NewHandler(q, build)), &at, nil
	}
	return slog.New(build(w)), &at, nil
}

// Level is the level of that name; see [Logger].
func Level(name string) (slog.Level, error) {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, &OptionError{"log-level", name, "debug, info, warn or error"}
}
