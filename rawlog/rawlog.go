// Package rawlog guesses what a line of a log file says about itself: when it
// was written, how grave it is, and who wrote it.
//
// It is a guess from the line alone, without configuration and without state,
// so the same line always gives the same message. What cannot be guessed has an
// honest default: the time of receipt, INFO, and no source. Known are ISO 8601
// and its many relatives, syslog (both RFCs, with and without priority), the
// Apache error and access logs, log4j in its usual layouts, Hadoop, HDFS and
// Spark, ZooKeeper, Proxifier, glog, and Unix seconds or milliseconds.
package rawlog

import (
	"strings"
	"time"

	"sluice/protocol"
)

// Parse makes a message of one line. It never fails. receivedAt stands in for a
// time that is not found, gives the year to formats that have none, and its
// location to those without a zone. The message is the rest of the line, after
// what was understood was taken off its front.
func Parse(line string, receivedAt time.Time) protocol.LogMessage {
	line = strings.TrimRight(line, "\r\n")
	rest := strings.TrimLeft(line, " \t")
	m := protocol.LogMessage{Timestamp: protocol.Timestamp{Time: receivedAt}, Message: line}

	level, rest := cutPriority(rest)
	at := cutTime(rest, receivedAt)
	if at.kind == noTime {
		if access, ok := parseAccess(line, receivedAt); ok {
			return access
		}
	} else {
		m.Timestamp.Time = at.time
		rest = at.rest
		if at.level != "" {
			level = at.level
		}
	}

	h := cutHead(rest, at.kind)
	if h.level != "" {
		level = h.level
	}
	if level == "" {
		level = guessLevel(h.rest)
	}
	m.Level, m.Source = level, h.source
	if at.kind != noTime || h.level != "" || h.source != "" {
		m.Message = h.rest
	}
	return m
}

// cutPriority takes a syslog priority, "<34>", and the version digit that
// RFC 5424 puts behind it, off the front.
func cutPriority(s string) (protocol.Level, string) {
	if len(s) < 3 || s[0] != '<' {
		return "", s
	}
	n, i := 0, 1
	for ; i < len(s) && i < 4 && isDigit(s[i]); i++ {
		n = n*10 + int(s[i]-'0')
	}
	if i == 1 || i == len(s) || s[i] != '>' || n > 191 {
		return "", s
	}
	s = strings.TrimPrefix(s[i+1:], "1 ") // RFC 5424's version
	return severities()[n&7], s
}

// severities are syslog's eight, from emergency to debug.
func severities() [8]protocol.Level {
	return [8]protocol.Level{
		protocol.LevelCritical, protocol.LevelCritical, protocol.LevelCritical, protocol.LevelError,
		protocol.LevelWarning, protocol.LevelInfo, protocol.LevelInfo, protocol.LevelDebug,
	}
}

// parseAccess reads a line of a web server's access log, whose time stands in
// brackets behind the client's address. The status tells how grave it is.
func parseAccess(line string, receivedAt time.Time) (protocol.LogMessage, bool) {
	open := strings.IndexByte(line, '[')
	if open < 0 || open > 200 {
		return protocol.LogMessage{}, false
	}
	t, err := time.Parse("02/Jan/2006:15:04:05 -0700", between(line[open+1:], ']'))
	if err != nil {
		return protocol.LogMessage{}, false
	}
	m := protocol.LogMessage{Timestamp: protocol.Timestamp{Time: t}, Level: protocol.LevelInfo, Message: line}
	rest := line[open:]
	if q := strings.IndexByte(rest, '"'); q >= 0 {
		if end := strings.Index(rest[q+1:], `" `); end >= 0 {
			switch status := rest[q+1+end+2:]; {
			case strings.HasPrefix(status, "5"):
				m.Level = protocol.LevelError
			case strings.HasPrefix(status, "4"):
				m.Level = protocol.LevelWarning
			}
		}
	}
	return m, true
}

// between returns s up to the first end, or "" without one.
func between(s string, end byte) string {
	i := strings.IndexByte(s, end)
	if i < 0 {
		return ""
	}
	return s[:i]
}

func isDigit(c byte) bool { return c-'0' < 10 }
