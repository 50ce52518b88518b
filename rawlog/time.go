package rawlog

import (
	"strconv"
	"strings"
	"time"

	"sluice/protocol"
)

// kind is what the form of the time tells about what follows it.
type kind uint8

const (
	noTime    kind = iota
	plainTime      // level, thread and class may follow, in any order
	syslog         // a host and a program follow
	proxifier      // a program and " - " follow
)

// stamp is a time found at the front of a line.
type stamp struct {
	kind  kind
	time  time.Time
	level protocol.Level // glog tells it in its first letter
	rest  string
}

// cutTime takes a time off the front of s. The form is chosen by a few bytes at
// fixed places, so that one layout is tried and not all of them.
func cutTime(s string, now time.Time) stamp {
	bracket := strings.HasPrefix(s, "[")
	if bracket {
		s = s[1:]
	}
	st := cutBareTime(s, now)
	if bracket {
		rest, closed := strings.CutPrefix(st.rest, "]")
		if !closed {
			return stamp{}
		}
		st.rest = rest
	}
	return st
}

func cutBareTime(s string, now time.Time) stamp {
	if len(s) < 10 {
		return stamp{}
	}
	switch {
	case isDigit(s[0]) && (s[4] == '-' || s[4] == '/'):
		return cutISO(s, now)
	case isDigit(s[0]) && s[2] == '/' && s[5] == '/':
		return fixed(s, "06/01/02 15:04:05", now)
	case isDigit(s[0]) && s[2] == '.' && s[5] == ' ':
		st := noYear(s, "01.02 15:04:05", len("01.02 15:04:05"), now)
		if st.kind != noTime {
			st.kind = proxifier
		}
		return st
	case isDigit(s[0]) && s[6] == ' ':
		return fixed(s, "060102 150405", now)
	case isDigit(s[0]):
		return cutUnix(s)
	case s[3] == ' ' && (isDigit(s[4]) || s[4] == ' '):
		st := noYear(s, "Jan _2 15:04:05", len("Jan _2 15:04:05"), now)
		if st.kind != noTime {
			st.kind = syslog
		}
		return st
	case s[3] == ' ':
		return fixed(s, "Mon Jan 02 15:04:05 2006", now)
	case isDigit(s[1]) && strings.IndexByte("IWEF", s[0]) >= 0:
		return cutGlog(s, now)
	}
	return stamp{}
}

// fixed reads a time of exactly the layout's length.
func fixed(s, layout string, now time.Time) stamp {
	if len(s) < len(layout) {
		return stamp{}
	}
	text := s[:len(layout)]
	t, err := time.ParseInLocation(layout, text, now.Location())
	if err != nil {
		return stamp{}
	}
	return stamp{kind: plainTime, time: t, rest: s[len(layout):]}
}

// noYear reads a time whose year is not written: the latest that is not in the
// future, with a day of tolerance for clocks and zones.
func noYear(s, layout string, size int, now time.Time) stamp {
	if len(s) < size {
		return stamp{}
	}
	// A leap year is given to the parser so that the 29th of February is a day.
	t, err := time.ParseInLocation("2006 "+layout, "2000 "+s[:size], now.Location())
	if err != nil {
		return stamp{}
	}
	year := now.Year()
	if t.AddDate(year-2000, 0, 0).After(now.AddDate(0, 0, 1)) {
		year--
	}
	return stamp{kind: plainTime, time: t.AddDate(year-2000, 0, 0), rest: s[size:]}
}

// cutISO reads "2006-01-02 15:04:05" with 'T' or a space, dashes or slashes, a
// fraction after a point or comma, and a zone, all of them optional.
func cutISO(s string, now time.Time) stamp {
	const date = len("2006-01-02 15:04:05")
	if len(s) < date || (s[10] != 'T' && s[10] != 't' && s[10] != ' ') {
		return stamp{}
	}
	layout := "2006-01-02 15:04:05"
	if s[4] == '/' {
		layout = "2006/01/02 15:04:05"
	}
	loc, at := now.Location(), date
	nanos := 0
	if at+1 < len(s) && (s[at] == '.' || s[at] == ',') && isDigit(s[at+1]) {
		unit := 100_000_000
		for at++; at < len(s) && isDigit(s[at]); at++ {
			nanos += int(s[at]-'0') * unit
			unit /= 10
		}
	}
	if zone, n := cutZone(s[at:]); n > 0 {
		loc, at = zone, at+n
	}
	t, err := time.ParseInLocation(layout, s[:10]+" "+s[11:date], loc)
	if err != nil {
		return stamp{}
	}
	return stamp{kind: plainTime, time: t.Add(time.Duration(nanos)), rest: s[at:]}
}

// cutZone reads Z, UTC, +02:00 or +0200, after a space or not, and returns how
// long it was; 0 if there is none.
func cutZone(s string) (*time.Location, int) {
	z := strings.TrimPrefix(s, " ")
	skipped := len(s) - len(z)
	switch {
	case strings.HasPrefix(z, "UTC"):
		return time.UTC, skipped + 3
	case skipped == 0 && strings.HasPrefix(z, "Z"):
		return time.UTC, 1
	case z == "" || z[0] != '+' && z[0] != '-':
		return nil, 0
	}
	for _, layout := range []string{"-07:00", "-0700"} {
		if len(z) < len(layout) || len(z) > len(layout) && isDigit(z[len(layout)]) {
			continue
		}
		if t, err := time.Parse(layout, z[:len(layout)]); err == nil {
			return t.Location(), skipped + len(layout)
		}
	}
	return nil, 0
}

// cutUnix reads seconds (10 digits, perhaps a fraction) or milliseconds (13).
func cutUnix(s string) stamp {
	end := 0
	for end < len(s) && (isDigit(s[end]) || s[end] == '.') {
		end++
	}
	whole, frac, _ := strings.Cut(s[:end], ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || end < len(s) && s[end] != ' ' && s[end] != ']' && s[end] != '\t' {
		return stamp{}
	}
	switch len(whole) {
	case 10:
		nanos, _ := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
		return stamp{kind: plainTime, time: time.Unix(n, nanos).UTC(), rest: s[end:]}
	case 13:
		return stamp{kind: plainTime, time: time.UnixMilli(n).UTC(), rest: s[end:]}
	}
	return stamp{}
}

// cutGlog reads "E0102 15:04:05.000000": level, month and day, time.
func cutGlog(s string, now time.Time) stamp {
	const size = len("0102 15:04:05.000000")
	if len(s) < size+1 {
		return stamp{}
	}
	st := noYear(s[1:], "0102 15:04:05.000000", size, now)
	if st.kind != noTime {
		st.level = map[byte]protocol.Level{
			'I': protocol.LevelInfo, 'W': protocol.LevelWarning, 'E': protocol.LevelError, 'F': protocol.LevelCritical,
		}[s[0]]
	}
	return st
}
