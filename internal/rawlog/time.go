package rawlog

import (
	"strings"
	"time"

	"sluice/protocol"
)

// form is what the form of a time tells about what follows it.
type form uint8

const (
	noTime        form = iota
	plainTime          // level, thread and class may follow, in any order
	slashTime          // the same, and Go's log package writes it without a level
	syslogTime         // a host and a program follow
	proxifierTime      // a program and " - " follow
	glogTime           // a thread and a place in the source follow
)

// stamp is a time found at the front of a line.
type stamp struct {
	form  form
	time  time.Time
	level protocol.Level // glog tells it in its first letter
	rest  string
}

// cutTime takes a time off the front of s, in brackets or not.
func (p *Parser) cutTime(s string) stamp {
	if s[0] != '[' {
		return p.cutBareTime(s)
	}
	at := p.cutBareTime(s[1:])
	if at.form == noTime || !strings.HasPrefix(at.rest, "]") {
		return stamp{}
	}
	at.rest = at.rest[1:]
	return at
}

// cutBareTime chooses the form by a few bytes at fixed places.
func (p *Parser) cutBareTime(s string) stamp {
	if len(s) < 10 {
		return stamp{}
	}
	if isDigit(s[0]) {
		switch {
		case s[4] == '-' || s[4] == '/':
			return p.cutISO(s)
		case s[2] == '/' && s[5] == '/' && s[8] == ' ':
			return p.cutShortDate(s)
		case s[2] == '.' && s[5] == ' ':
			return p.cutMonthDay(s, proxifierTime)
		case s[2] == '-' && s[5] == ' ':
			return p.cutMonthDay(s, plainTime)
		case s[6] == ' ':
			return p.cutPacked(s)
		}
		return cutUnix(s)
	}
	switch {
	case s[3] == ' ' && month(s) > 0:
		return p.cutSyslog(s)
	case s[3] == ' ' && s[7] == ' ':
		return p.cutCtime(s)
	case isDigit(s[1]) && strings.IndexByte("IWEF", s[0]) >= 0:
		return p.cutGlog(s)
	}
	return stamp{}
}

// written makes a stamp of a date without a zone.
func (p *Parser) written(d *date, f form, rest string) stamp {
	if !d.valid() {
		return stamp{}
	}
	return stamp{form: f, time: p.local(d), rest: rest}
}

// yearless makes a stamp of a date without a year.
func (p *Parser) yearless(d *date, f form, rest string) stamp {
	t, ok := p.guessYear(d)
	if !ok {
		return stamp{}
	}
	return stamp{form: f, time: t, rest: rest}
}

// cutISO reads "2006-01-02 15:04:05" with 'T' or a space, dashes or slashes, a
// fraction after a point or comma, and a zone, all of them optional.
func (p *Parser) cutISO(s string) stamp {
	const size = len("2006-01-02 15:04:05")
	if len(s) < size || s[10] != 'T' && s[10] != 't' && s[10] != ' ' || s[7] != s[4] {
		return stamp{}
	}
	d := date{year: num(s, 0, 4), month: num(s, 5, 2), day: num(s, 8, 2)}
	if d.year < 0 || !d.clockAt(s, 11) || !d.valid() {
		return stamp{}
	}
	at := d.fractionAt(s, size)
	f := plainTime
	if s[4] == '/' {
		f = slashTime
	}
	if offset, n := cutZone(s[at:]); n > 0 {
		return stamp{form: f, time: time.Unix(d.wall()-int64(offset), int64(d.nanos)).UTC(), rest: s[at+n:]}
	}
	return p.written(&d, f, s[at:])
}

// cutShortDate reads Spark's "06/01/02 15:04:05".
func (p *Parser) cutShortDate(s string) stamp {
	d := date{year: num(s, 0, 2), month: num(s, 3, 2), day: num(s, 6, 2)}
	if d.year < 0 || !d.clockAt(s, 9) {
		return stamp{}
	}
	d.year += 2000
	at := d.fractionAt(s, 17)
	return p.written(&d, plainTime, s[at:])
}

// cutPacked reads HDFS's "060102 150405".
func (p *Parser) cutPacked(s string) stamp {
	if len(s) < 13 {
		return stamp{}
	}
	d := date{year: num(s, 0, 2), month: num(s, 2, 2), day: num(s, 4, 2),
		hour: num(s, 7, 2), minute: num(s, 9, 2), second: num(s, 11, 2)}
	if d.year < 0 || len(s) > 13 && isDigit(s[13]) {
		return stamp{}
	}
	d.year += 2000
	return p.written(&d, plainTime, s[13:])
}

// cutMonthDay reads "01.02 15:04:05" and logcat's "01-02 15:04:05.000".
func (p *Parser) cutMonthDay(s string, f form) stamp {
	d := date{month: num(s, 0, 2), day: num(s, 3, 2)}
	if !d.clockAt(s, 6) {
		return stamp{}
	}
	at := d.fractionAt(s, 14)
	return p.yearless(&d, f, s[at:])
}

// cutSyslog reads "Jan _2 15:04:05", with a year before the clock or without.
func (p *Parser) cutSyslog(s string) stamp {
	d := date{month: month(s), day: num2(s, 4)}
	if len(s) > 11 && s[6] == ' ' && s[11] == ' ' {
		if d.year = num(s, 7, 4); d.year < 0 || !d.clockAt(s, 12) {
			return stamp{}
		}
		return p.written(&d, syslogTime, s[d.fractionAt(s, 20):])
	}
	if s[6] != ' ' || !d.clockAt(s, 7) {
		return stamp{}
	}
	return p.yearless(&d, syslogTime, s[d.fractionAt(s, 15):])
}

// cutCtime reads "Mon Jan 02 15:04:05 2006", with a fraction or without.
func (p *Parser) cutCtime(s string) stamp {
	d := date{month: month(s[4:]), day: num2(s, 8)}
	if len(s) < 24 || s[10] != ' ' || !d.clockAt(s, 11) {
		return stamp{}
	}
	at := d.fractionAt(s, 19)
	if at >= len(s) || s[at] != ' ' {
		return stamp{}
	}
	if d.year = num(s, at+1, 4); d.year < 0 {
		return stamp{}
	}
	return p.written(&d, plainTime, s[at+5:])
}

// cutGlog reads "E0102 15:04:05.000000": level, month and day, time.
func (p *Parser) cutGlog(s string) stamp {
	d := date{month: num(s, 1, 2), day: num(s, 3, 2)}
	if s[5] != ' ' || !d.clockAt(s, 6) {
		return stamp{}
	}
	at := p.yearless(&d, glogTime, s[d.fractionAt(s, 14):])
	if at.form != noTime {
		at.level, _ = levelOfLetter(s[0])
	}
	return at
}

// cutZone reads Z, UTC, GMT, +02:00, +0200 or +02, after a space or not, and
// returns its offset in seconds and how long it was; 0 if there is none.
func cutZone(s string) (offset, n int) {
	z := s
	if z != "" && z[0] == ' ' {
		z = z[1:]
	}
	skipped := len(s) - len(z)
	switch {
	case z == "":
		return 0, 0
	case strings.HasPrefix(z, "UTC") || strings.HasPrefix(z, "GMT"):
		return 0, skipped + 3
	case skipped == 0 && (z[0] == 'Z' || z[0] == 'z'):
		return 0, 1
	case z[0] != '+' && z[0] != '-':
		return 0, 0
	}
	hours, minutes, n := num(z, 1, 2), 0, 3
	if at := n; at < len(z) && (z[at] == ':' || isDigit(z[at])) {
		if z[at] == ':' {
			at++
		}
		if minutes = num(z, at, 2); minutes >= 0 {
			n = at + 2
		}
	}
	if hours < 0 || hours > 15 || minutes < 0 || minutes > 59 || len(z) > n && isDigit(z[n]) {
		return 0, 0
	}
	offset = hours*3600 + minutes*60
	if z[0] == '-' {
		offset = -offset
	}
	return offset, skipped + n
}

// cutUnix reads seconds (10 digits, perhaps a fraction), or 13, 16 or 19 digits
// of milli-, micro- or nanoseconds.
func cutUnix(s string) stamp {
	end := 0
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	var d date
	rest := end
	if end == 10 {
		rest = d.fractionAt(s, end)
	}
	if rest < len(s) && strings.IndexByte(" ]\t", s[rest]) < 0 {
		return stamp{}
	}
	t, ok := unixDigits(s[:end])
	if !ok {
		return stamp{}
	}
	return stamp{form: plainTime, time: t.Add(time.Duration(d.nanos)), rest: s[rest:]}
}

func unixDigits(s string) (time.Time, bool) {
	n := num(s, 0, len(s))
	if n < 0 {
		return time.Time{}, false
	}
	switch len(s) {
	case 10:
		return time.Unix(int64(n), 0).UTC(), true
	case 13:
		return time.UnixMilli(int64(n)).UTC(), true
	case 16:
		return time.UnixMicro(int64(n)).UTC(), true
	case 19:
		return time.Unix(0, int64(n)).UTC(), n > 0
	}
	return time.Time{}, false
}
