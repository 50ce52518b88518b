package rawlog

import "time"

// date is a time as it is written, before anybody knows its zone.
type date struct {
	year, month, day     int
	hour, minute, second int
	nanos                int
}

func (d *date) valid() bool {
	return d.month >= 1 && d.month <= 12 && d.day >= 1 && d.day <= daysIn(d.year, d.month) &&
		d.hour >= 0 && d.hour < 24 && d.minute >= 0 && d.minute < 60 && d.second >= 0 && d.second <= 60
}

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if leap(year) {
			return 29
		}
		return 28
	}
	return 31
}

// wall is the seconds from 1970 to d on a clock that shows UTC. The days are
// counted as in Howard Hinnant's days_from_civil: years begin in March, so that
// the leap day is a year's last.
func (d *date) wall() int64 {
	y, m := d.year, d.month
	if m <= 2 {
		y--
		m += 12
	}
	days := int64(365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d.day - 1 - 719468)
	return days*86400 + int64(d.hour*3600+d.minute*60+d.second)
}

// zoneSlot is how long a zone's offset is sure to stay the same: changes happen
// at quarters of an hour.
const zoneSlot = 15 * 60

// zoneCache remembers the last offset that was looked up; lines of a log are
// close to each other in time.
type zoneCache struct {
	slot   int64
	offset int64
	filled bool
}

// local is the moment at which clocks of the parser's zone showed d. Of an hour
// that is shown twice it is the one that time.Date chooses.
func (p *Parser) local(d *date) time.Time {
	wall := d.wall()
	if p.loc != time.UTC {
		slot := wall / zoneSlot
		if !p.zone.filled || p.zone.slot != slot {
			t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.second, 0, p.loc)
			p.zone = zoneCache{slot, wall - t.Unix(), true}
		}
		wall -= p.zone.offset
	}
	return time.Unix(wall, int64(d.nanos)).UTC()
}

// yearTolerance is how far after "before" a time without a year may be.
const yearTolerance = 24 * time.Hour

// guessYear gives d the latest year in which it exists and is not in the
// future. The 29th of February may be eight years back.
func (p *Parser) guessYear(d *date) (time.Time, bool) {
	for year := p.year + 1; year >= p.year-8; year-- {
		d.year = year
		if !d.valid() {
			if d.month != 2 || d.day != 29 {
				return time.Time{}, false
			}
			continue
		}
		if t := p.local(d); t.Sub(p.before) <= yearTolerance {
			return t, true
		}
	}
	return time.Time{}, false
}

// num reads n digits at s[at:]; -1 if there are none.
func num(s string, at, n int) int {
	if len(s) < at+n {
		return -1
	}
	v := 0
	for _, c := range []byte(s[at : at+n]) {
		if c -= '0'; c > 9 {
			return -1
		}
		v = 10*v + int(c)
	}
	return v
}

// num2 reads two digits or a blank and a digit.
func num2(s string, at int) int {
	if len(s) >= at+2 && s[at] == ' ' {
		return num(s, at+1, 1)
	}
	return num(s, at, 2)
}

// clockAt reads "15:04:05" at s[at:] into d.
func (d *date) clockAt(s string, at int) bool {
	if len(s) < at+8 || s[at+2] != ':' || s[at+5] != ':' {
		return false
	}
	d.hour, d.minute, d.second = num(s, at, 2), num(s, at+3, 2), num(s, at+6, 2)
	return d.hour >= 0 && d.minute >= 0 && d.second >= 0
}

// fractionAt reads ".123456" or ",123" at s[at:] and returns where it ends; at
// if there is none. Digits beyond the nanoseconds are dropped.
func (d *date) fractionAt(s string, at int) int {
	if at+1 >= len(s) || s[at] != '.' && s[at] != ',' || !isDigit(s[at+1]) {
		return at
	}
	unit := 100_000_000
	for at++; at < len(s) && isDigit(s[at]); at++ {
		d.nanos += int(s[at]-'0') * unit
		unit /= 10
	}
	return at
}

// month reads "Jan"; 0 if it is none.
func month(s string) int {
	if len(s) < 3 {
		return 0
	}
	switch s[:3] {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

func isDigit(c byte) bool { return c-'0' < 10 }
