package rawlog

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// role is what a key of a structured line usually holds.
type role uint8

const (
	noRole role = iota
	timeRole
	levelRole
	messageRole
	sourceRole
)

// roleOf knows the keys of the usual libraries: slog, zap, zerolog, logrus,
// pino, bunyan, log4j's and logstash's layouts, Docker's files and journald's
// export.
func roleOf(key string) role {
	switch key {
	case "time", "ts", "t", "timestamp", "@timestamp", "datetime", "date", "eventTime", "asctime", "__REALTIME_TIMESTAMP":
		return timeRole
	case "level", "lvl", "severity", "log.level", "loglevel", "levelname", "log_level", "PRIORITY":
		return levelRole
	case "msg", "message", "log", "text", "event", "MESSAGE":
		return messageRole
	case "logger", "source", "service", "app", "program", "component", "logger_name", "name", "caller", "SYSLOG_IDENTIFIER":
		return sourceRole
	}
	return noRole
}

// parseJSON reads an object. Without a message among its keys the message is
// the line, and nothing is said twice in fields.
func (p *Parser) parseJSON(s string, r *Record) {
	v, err := p.json.Parse(s)
	if err != nil {
		return
	}
	o, err := v.Object()
	if err != nil {
		return
	}
	r.Format = JSON
	said := false
	o.Visit(func(k []byte, v *fastjson.Value) {
		key := string(k)
		switch roleOf(key) {
		case timeRole:
			if t, ok := p.jsonTime(v); ok && r.Time.IsZero() {
				r.Time = t
				return
			}
		case levelRole:
			if r.Level == "" && p.jsonLevel(v, r) {
				return
			}
		case messageRole:
			if text, err := v.StringBytes(); err == nil && !said {
				r.Message, said = strings.TrimRight(string(text), "\r\n"), true
				return
			}
		case sourceRole:
			if text, err := v.StringBytes(); err == nil && r.Source == "" {
				r.Source = string(text)
				return
			}
		}
		r.Fields = append(r.Fields, Field{Key: key, JSON: v})
	})
	if !said {
		r.Fields = r.Fields[:0]
	}
}

func (p *Parser) jsonTime(v *fastjson.Value) (time.Time, bool) {
	switch v.Type() {
	case fastjson.TypeString:
		return p.wholeTime(string(v.GetStringBytes()))
	case fastjson.TypeNumber:
		return unixNumber(v.GetFloat64())
	}
	return time.Time{}, false
}

func (p *Parser) jsonLevel(v *fastjson.Value, r *Record) bool {
	switch v.Type() {
	case fastjson.TypeString:
		return levelText(string(v.GetStringBytes()), r)
	case fastjson.TypeNumber:
		l, ok := levelOfNumber(v.GetInt())
		r.Level = l
		return ok
	}
	return false
}

func levelText(s string, r *Record) bool {
	l, ok := asLevel(s)
	if !ok && len(s) == 1 {
		if l, ok = levelOfLetter(s[0] &^ 0x20); isDigit(s[0]) {
			l, ok = levelOfNumber(int(s[0] - '0'))
		}
	}
	r.Level = l
	return ok
}

// wholeTime reads a value that is a time and nothing else.
func (p *Parser) wholeTime(s string) (time.Time, bool) {
	if len(s) < 10 {
		return time.Time{}, false
	}
	if at := p.cutTime(s); at.form != noTime && at.rest == "" {
		return at.time, true
	}
	return time.Time{}, false
}

// unixNumber tells seconds, milli-, micro- and nanoseconds apart by their size:
// each is a time of this or the next centuries in one unit only.
func unixNumber(f float64) (time.Time, bool) {
	switch {
	case f < 1e8 || math.IsNaN(f) || f > 9e18:
		return time.Time{}, false
	case f < 1e11:
		whole, frac := math.Modf(f)
		return time.Unix(int64(whole), int64(math.Round(frac*1e6))*1000).UTC(), true
	case f < 1e14:
		return time.UnixMicro(int64(f * 1000)).UTC(), true
	case f < 1e17:
		return time.UnixMicro(int64(f)).UTC(), true
	}
	return time.Unix(0, int64(f)).UTC(), true
}

// looksLikeLogfmt says whether the first word is "key=…".
func looksLikeLogfmt(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c == '=' {
			return i > 0
		}
		if !isKeyByte(c) {
			return false
		}
	}
	return false
}

func isKeyByte(c byte) bool {
	return isDigit(c) || c|0x20-'a' < 26 || c == '_' || c == '.' || c == '-' || c == '@' || c == '/'
}

// parseLogfmt reads key=value pairs, values quoted or not. It is logfmt only if
// all of it is, and if a time, a level or a message is among the keys: other
// programs write pairs too.
func (p *Parser) parseLogfmt(s string, r *Record) bool {
	line := r.Message
	said, known := false, 0
	for s != "" {
		end := 0
		for end < len(s) && isKeyByte(s[end]) {
			end++
		}
		key := s[:end]
		if end == 0 || end < len(s) && s[end] != '=' && s[end] != ' ' {
			return notLogfmt(line, r)
		}
		value := ""
		if s = s[end:]; s != "" && s[0] == '=' {
			var ok bool
			if value, s, ok = cutValue(s[1:]); !ok {
				return notLogfmt(line, r)
			}
		}
		s = trimLeft(s)
		switch roleOf(key) {
		case timeRole:
			t, ok := p.wholeTime(value)
			if !ok {
				if f, err := strconv.ParseFloat(value, 64); err == nil {
					t, ok = unixNumber(f)
				}
			}
			if ok && r.Time.IsZero() {
				r.Time = t
				known++
				continue
			}
		case levelRole:
			if r.Level == "" && levelText(value, r) {
				known++
				continue
			}
		case messageRole:
			if !said {
				r.Message, said = value, true
				known++
				continue
			}
		case sourceRole:
			if r.Source == "" {
				r.Source = value
				continue
			}
		}
		r.Fields = append(r.Fields, Field{Key: key, Text: value})
	}
	if known == 0 {
		return notLogfmt(line, r)
	}
	r.Format = Logfmt
	if !said {
		r.Fields = r.Fields[:0]
	}
	return true
}

// notLogfmt takes back what was read of a line that is something else.
func notLogfmt(line string, r *Record) bool {
	*r = Record{Message: line, Fields: r.Fields[:0]}
	return false
}

// cutValue reads a value, quoted with Go's escapes or up to the next blank.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, ' ')
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], true
	}
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", s, false
	}
	if value, err = strconv.Unquote(quoted); err != nil {
		return "", s, false
	}
	rest = s[len(quoted):]
	return value, rest, rest == "" || rest[0] == ' '
}
