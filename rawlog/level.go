package rawlog

import (
	"strings"

	"sluice/protocol"
)

// asLevel normalises the names that programs give to levels, in any case.
func asLevel(word string) (protocol.Level, bool) {
	if len(word) > len("emergency") {
		return "", false
	}
	switch strings.ToLower(word) {
	case "trace", "debug", "debug1", "debug2", "debug3", "verbose", "fine", "finer", "finest":
		return protocol.LevelDebug, true
	case "info", "information", "notice", "config", "log", "audit":
		return protocol.LevelInfo, true
	case "warn", "warning":
		return protocol.LevelWarning, true
	case "error", "err", "severe", "failure":
		return protocol.LevelError, true
	case "crit", "critical", "fatal", "alert", "emerg", "emergency", "panic":
		return protocol.LevelCritical, true
	}
	return "", false
}

// guessLevel reads the level out of the words of a message that does not tell
// it. The gravest word in its first part counts.
func guessLevel(message string) protocol.Level {
	text := strings.ToLower(message[:min(len(message), 200)])
	for _, g := range []struct {
		level protocol.Level
		words []string
	}{
		{protocol.LevelCritical, []string{"level=fatal", "panic:", "fatal", "out of memory"}},
		{protocol.LevelError, []string{"level=error", "error", "exception", "segfault"}},
		{protocol.LevelWarning, []string{"level=warn", "warning", "fail", "denied", "refused", "invalid", "timed out", "break-in"}},
		{protocol.LevelDebug, []string{"level=debug"}},
	} {
		for _, w := range g.words {
			if strings.Contains(text, w) {
				return g.level
			}
		}
	}
	return protocol.LevelInfo
}
