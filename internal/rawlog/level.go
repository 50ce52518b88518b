package rawlog

import "sluice/protocol"

// longestLevel bounds what asLevel looks at.
const longestLevel = len("information")

// asLevel normalises the names that programs give to levels, in any case.
func asLevel(word string) (protocol.Level, bool) {
	if len(word) < 3 || len(word) > longestLevel {
		return "", false
	}
	var lower [longestLevel]byte
	for i := range len(word) {
		c := word[i]
		if c-'A' < 26 {
			c |= 0x20
		}
		lower[i] = c
	}
	switch string(lower[:len(word)]) {
	case "trace", "debug", "debug1", "debug2", "debug3", "debug4", "debug5", "verbose", "fine", "finer", "finest", "dbg", "trc":
		return protocol.LevelDebug, true
	case "info", "inf", "information", "informational", "notice", "note", "config", "log":
		return protocol.LevelInfo, true
	case "warn", "warning", "wrn":
		return protocol.LevelWarning, true
	case "error", "err", "severe", "failure":
		return protocol.LevelError, true
	case "crit", "critical", "fatal", "ftl", "alert", "emerg", "emergency", "panic", "dpanic":
		return protocol.LevelCritical, true
	}
	return "", false
}

// levelOfLetter reads the levels of glog and logcat.
func levelOfLetter(c byte) (protocol.Level, bool) {
	switch c {
	case 'D', 'V', 'T':
		return protocol.LevelDebug, true
	case 'I', 'N':
		return protocol.LevelInfo, true
	case 'W':
		return protocol.LevelWarning, true
	case 'E':
		return protocol.LevelError, true
	case 'F', 'C', 'A':
		return protocol.LevelCritical, true
	}
	return "", false
}

// severity is one of syslog's eight, 0 (emergency) to 7 (debug).
func severity(n int) protocol.Level {
	switch n {
	case 0, 1, 2:
		return protocol.LevelCritical
	case 3:
		return protocol.LevelError
	case 4:
		return protocol.LevelWarning
	case 5, 6:
		return protocol.LevelInfo
	}
	return protocol.LevelDebug
}

// levelOfNumber reads the numbers that JSON logs use: syslog's severities up to
// 7, and those of pino and bunyan, 10 (trace) to 60 (fatal).
func levelOfNumber(n int) (protocol.Level, bool) {
	switch {
	case n < 0 || n > 60:
		return "", false
	case n <= 7:
		return severity(n), true
	case n < 30:
		return protocol.LevelDebug, n >= 10
	case n < 40:
		return protocol.LevelInfo, true
	case n < 50:
		return protocol.LevelWarning, true
	case n < 60:
		return protocol.LevelError, true
	}
	return protocol.LevelCritical, true
}
