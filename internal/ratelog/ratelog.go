// Package ratelog lets peers cause events, but not log lines: of each kind of
// event at most one line a second is written, which tells how many were not.
package ratelog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Every is the least time between two lines of one kind.
const Every = time.Second

// Limiter writes at most one line of each kind in Every. What is suppressed is
// only counted: a flood costs a lock and a map lookup per event. It starts no
// goroutine, so the count of the last ones of a flood is told with the next
// line of their kind, or by Flush.
//
// Safe for concurrent use.
type Limiter struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	kinds map[string]*kind
}

// kind is what is known of one kind of event. Owned by the Limiter's mutex.
type kind struct {
	level      slog.Level
	last       time.Time // of the last line
	suppressed uint64    // since then
}

// New makes a Limiter that writes to log by the given clock, such as time.Now.
func New(log *slog.Logger, now func() time.Time) *Limiter {
	return &Limiter{log: log, now: now, kinds: make(map[string]*kind)}
}

// Warn writes a line, or counts it as suppressed. The kinds are told apart by
// the message, which must therefore be one of a few constants; what varies
// belongs into args, as with slog.
func (l *Limiter) Warn(message string, args ...any) { l.say(slog.LevelWarn, message, args) }

// Info is Warn for what is no fault.
func (l *Limiter) Info(message string, args ...any) { l.say(slog.LevelInfo, message, args) }

func (l *Limiter) say(level slog.Level, message string, args []any) {
	l.mu.Lock()
	now := l.now()
	k, known := l.kinds[message]
	if !known {
		k = &kind{level: level}
		l.kinds[message] = k
	}
	// A clock that went back must not silence a kind for as long as it did.
	if since := now.Sub(k.last); known && since >= 0 && since < Every {
		k.suppressed++
		l.mu.Unlock()
		return
	}
	k.last = now
	suppressed := k.suppressed
	k.suppressed = 0
	l.mu.Unlock()
	l.write(level, message, args, suppressed)
}

// Flush tells what was suppressed and not yet told of: for the end.
func (l *Limiter) Flush() {
	type line struct {
		level      slog.Level
		message    string
		suppressed uint64
	}
	var lines []line
	l.mu.Lock()
	for message, k := range l.kinds {
		if k.suppressed > 0 {
			lines = append(lines, line{k.level, message, k.suppressed})
			k.suppressed = 0
		}
	}
	l.mu.Unlock()
	for _, m := range lines {
		l.write(m.level, m.message, nil, m.suppressed)
	}
}

func (l *Limiter) write(level slog.Level, message string, args []any, suppressed uint64) {
	if suppressed > 0 {
		args = append(args[:len(args):len(args)], "suppressed", suppressed)
	}
	l.log.Log(context.Background(), level, message, args...)
}
