// Package rawlog guesses what a line of a log file says about itself: when it
// was written, how grave it is, who wrote it, and what else it tells in fields
// of its own.
//
// It is a guess from the line alone, without configuration and without state,
// so the same line always gives the same record. Nothing is invented: a line
// that names no level has none, and one without a time has none; whoever ships
// it decides what stands in for them. Known are JSON objects, logfmt, syslog
// (RFC 5424, and RFC 3164 with and without priority), the Common and Combined
// Log Format, and the time-level-source prefixes of the usual programs: ISO
// 8601 and its many relatives, the Apache error log, log4j in its usual
// layouts, Hadoop, HDFS and Spark, ZooKeeper, Proxifier, glog, logcat, and Unix
// seconds or milliseconds.
//
// The form of a line is told by a few bytes at fixed places, so that one form
// is tried and not all of them, and times are read by hand: a line of a hundred
// bytes costs a fraction of a microsecond and no allocation (JSON apart).
package rawlog

import (
	"time"

	"github.com/valyala/fastjson"

	"sluice/protocol"
)

// Format is the form in which a line was understood.
type Format uint8

// The formats, from "nothing understood" on.
const (
	Plain      Format = iota // no time in front, or nothing that we know
	Prefixed                 // time, then perhaps a level, a thread and a source
	GoLog                    // Go's log package: a time, and never a level
	Glog                     // Google's: the level is the first letter
	Proxifier                // no level
	Syslog3164               // no level without a priority
	Syslog5424
	Access // Common or Combined Log Format
	JSON
	Logfmt
	formats
)

func (f Format) String() string {
	if f >= formats {
		return "unknown"
	}
	return [formats]string{"plain", "prefixed", "golog", "glog", "proxifier", "rfc3164", "rfc5424", "access", "json", "logfmt"}[f]
}

// withoutLevel says whether a line of this format is whole without a level.
func (f Format) withoutLevel() bool { return f == GoLog || f == Proxifier || f == Syslog3164 }

// A Record is what one line tells. Its strings are parts of the line wherever
// the format allows, and Fields of JSON are good until the next Parse only.
type Record struct {
	Format  Format
	Time    time.Time      // UTC; zero: the line tells none
	Level   protocol.Level // empty: the line tells none
	Source  string         // program, class or logger; empty: the line tells none
	Message string         // what is left of the line
	Fields  []Field        // the rest, in the order of the line; keys may repeat
}

// Understood says whether the line told when it was written, and how grave it
// is unless its format is known not to tell that.
func (r *Record) Understood() bool {
	return !r.Time.IsZero() && (r.Level != "" || r.Format.withoutLevel())
}

// Field is one thing more that a line tells. Exactly one of the values counts:
// JSON if it is set, else Int if IsInt, else Text.
type Field struct {
	Key   string
	Text  string
	IsInt bool
	Int   int64
	JSON  *fastjson.Value
}

func (r *Record) text(key, value string) {
	if value != "" {
		r.Fields = append(r.Fields, Field{Key: key, Text: value})
	}
}

func (r *Record) int(key string, value int64) {
	r.Fields = append(r.Fields, Field{Key: key, IsInt: true, Int: value})
}

// A Parser reads lines. Its zone and its year are settings and not state: they
// stand in for what a line leaves out. Not safe for concurrent use, because it
// keeps what is expensive to compute again: offsets of the zone, JSON's memory.
type Parser struct {
	loc    *time.Location
	before time.Time // see Before
	year   int       // of before, in loc
	zone   zoneCache
	json   fastjson.Parser
}

// NewParser returns a parser. Times without a zone are in loc (nil: UTC), and
// times without a year are the latest that are not after before.
func NewParser(loc *time.Location, before time.Time) *Parser {
	p := &Parser{loc: loc}
	if loc == nil {
		p.loc = time.UTC
	}
	p.Before(before)
	return p
}

// Before sets the time that gives its year to times without one: the latest
// year in which they are not after it, by more than a day. The day is for the
// clocks and zones of other machines.
func (p *Parser) Before(t time.Time) {
	if !t.Equal(p.before) || p.year == 0 {
		p.before, p.year = t, t.In(p.loc).Year()
	}
}

// Parse reads one line, without its line end. It never fails: what it does not
// understand is Plain, and the message is the whole line. r is overwritten, and
// its Fields are used again.
func (p *Parser) Parse(line string, r *Record) {
	*r = Record{Message: line, Fields: r.Fields[:0]}
	s := trimLeft(line)
	if s == "" {
		return
	}
	switch c := s[0]; {
	case c == '{':
		p.parseJSON(s, r)
		return
	case c == '<' && p.parsePriority(s, r):
		return
	}
	if at := p.cutTime(s); at.form != noTime {
		p.parseTimed(at, r)
		return
	}
	if looksLikeLogfmt(s) && p.parseLogfmt(s, r) {
		return
	}
	if p.parseAccess(s, r) {
		return
	}
	p.cutLevel(s, r)
}

// parseTimed reads what stands behind a time.
func (p *Parser) parseTimed(at stamp, r *Record) {
	r.Time, r.Level = at.time, at.level
	switch at.form {
	case syslogTime:
		r.Format = Syslog3164
		parseTag(at.rest, r)
	case proxifierTime:
		r.Format = Proxifier
		parseProxifier(at.rest, r)
	case glogTime:
		r.Format = Glog
		parseGlog(at.rest, r)
	default:
		r.Format = Prefixed
		cutHead(at.rest, r)
		if at.form == slashTime && r.Level == "" {
			r.Format = GoLog
		}
	}
}

// Parse makes a message of one line, for those who have a line and no file.
// receivedAt stands in for a time that is not found, gives the year to formats
// that have none, and its location to those without a zone. A line without a
// level is INFO.
func Parse(line string, receivedAt time.Time) protocol.LogMessage {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	var r Record
	NewParser(receivedAt.Location(), receivedAt).Parse(line, &r)
	m := protocol.LogMessage{Timestamp: protocol.Timestamp{Time: r.Time}, Level: r.Level, Source: r.Source, Message: r.Message}
	if r.Time.IsZero() {
		m.Timestamp.Time = receivedAt
	}
	if r.Level == "" {
		m.Level = protocol.LevelInfo
	}
	return m
}
