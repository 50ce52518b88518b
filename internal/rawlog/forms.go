package rawlog

import (
	"strings"
	"time"

	"sluice/protocol"
)

// parseProxifier reads "chrome.exe *64 - message".
func parseProxifier(s string, r *Record) {
	s = trimLeft(s)
	program, rest, ok := strings.Cut(s, " - ")
	if !ok {
		r.Message = s
		return
	}
	name, bits := cutWord(program)
	r.Source, r.Message = name, rest
	r.text("bits", strings.TrimPrefix(bits, "*"))
}

// parseGlog reads "   42 server.go:7] message".
func parseGlog(s string, r *Record) {
	thread, rest := cutWord(trimLeft(s))
	place, message, ok := strings.Cut(rest, "] ")
	if !ok || !isNumber(thread) || strings.IndexByte(place, ' ') >= 0 {
		r.Message = trimLeft(s)
		return
	}
	r.text("thread", thread)
	file, line, _ := strings.Cut(place, ":")
	r.Source, r.Message = file, message
	if isNumber(line) && len(line) < 9 {
		r.int("line", int64(num(line, 0, len(line))))
	}
}

// parseAccess reads the Common Log Format, host ident user [time] "request"
// status bytes, and what the Combined adds: "referer" "user agent". The status
// tells how grave it is, and the request is the message.
func (p *Parser) parseAccess(s string, r *Record) bool {
	host, rest := cutWord(s)
	ident, rest := cutWord(rest)
	user, after, ok := strings.Cut(rest, " [")
	if !ok || len(user) > 256 || ident == "" {
		return false
	}
	d := date{}
	const size = len("02/Jan/2006:15:04:05 -0700")
	if len(after) < size+1 || after[2] != '/' || after[6] != '/' || after[11] != ':' || after[size] != ']' {
		return false
	}
	d.day, d.month, d.year = num(after, 0, 2), month(after[3:]), num(after, 7, 4)
	offset, n := cutZone(after[20:size])
	if d.year < 0 || !d.clockAt(after, 12) || !d.valid() || n != 6 {
		return false
	}
	request, tail, ok := cutQuotedAfterBlank(after[size+1:])
	if !ok {
		return false
	}
	status, tail := cutWord(trimLeft(tail))
	bytes, tail := cutWord(tail)
	if len(status) != 3 || !isNumber(status) {
		return false
	}
	r.Format, r.Message = Access, request
	r.Time = time.Unix(d.wall()-int64(offset), 0).UTC()
	r.Level = protocol.LevelInfo
	switch status[0] {
	case '5':
		r.Level = protocol.LevelError
	case '4':
		r.Level = protocol.LevelWarning
	}
	r.text("client", host)
	dashless(r, "ident", ident)
	dashless(r, "user", user)
	r.int("status", int64(num(status, 0, 3)))
	if isNumber(bytes) && len(bytes) < 18 {
		r.int("bytes", int64(num(bytes, 0, len(bytes))))
	}
	if referer, rest, ok := cutQuotedAfterBlank(tail); ok {
		dashless(r, "referer", referer)
		agent, rest, _ := cutQuotedAfterBlank(rest)
		dashless(r, "user_agent", agent)
		tail = rest
	}
	r.text("more", trimLeft(tail))
	return true
}

func dashless(r *Record, key, value string) {
	if value != "-" {
		r.text(key, value)
	}
}

func cutQuotedAfterBlank(s string) (value, rest string, ok bool) {
	s = trimLeft(s)
	if !strings.HasPrefix(s, `"`) {
		return "", s, false
	}
	return cutQuoted(s[1:])
}
