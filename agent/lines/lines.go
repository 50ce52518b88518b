// Package lines decides where packets end and finds the records in them.
//
// Both are functions of bytes alone. [Splitter.Cut] is given what is there and
// says how much of it makes a packet of whole records; [Splitter.Each] is given
// the bytes of one packet and finds the same records in it, whenever it is
// asked. So a packet that is sent again after a crash has the same records,
// although what decided its end may have been the time.
//
// A record is a line, without its line end and without one CR before that, or
// with a pattern for first lines, a line that matches and all that do not
// behind it (a stack trace). A record longer than MaxRecord is split there, at
// the edge of a UTF-8 character, and its pieces are marked.
package lines

import (
	"bytes"
	"regexp"
	"unicode/utf8"
)

// Piece says what part of a split record it is.
type Piece uint8

// The pieces; a record that was not split is Whole.
const (
	Whole Piece = iota
	First
	Middle
	Last
)

func (p Piece) String() string { return [...]string{"whole", "first", "middle", "last"}[p] }

// Flush says what Cut may take although more could belong to it.
type Flush uint8

const (
	// Hold takes only records that are surely complete.
	Hold Flush = iota
	// Lines takes complete lines, though the last may not be its record's last:
	// nothing was added to it for the time limit.
	Lines
	// All takes what is there: nothing will be added any more.
	All
)

// Splitter holds how records end. Immutable after it was made.
type Splitter struct {
	MaxRecord int            // bytes; longer ones are split. Above 4
	MaxLines  int            // in one packet; 0: any
	First     *regexp.Regexp // matches the first line of a record; nil: each line is one
}

// Cut returns how many bytes of b, the next bytes of a file, make a packet; 0 if
// it has to wait for more. full says that b is as long as a packet may be, so
// that waiting would not help.
func (s *Splitter) Cut(b []byte, full bool, flush Flush) int {
	end := bytes.LastIndexByte(b, '\n') + 1
	if end == 0 {
		return s.cutLong(b, flush)
	}
	if s.MaxLines > 0 {
		if n := nthLine(b[:end], s.MaxLines); n < end {
			end, full = n, true
		} else if n == end && countLines(b[:end]) == s.MaxLines {
			full = true
		}
	}
	if flush == All && !full && end < len(b) {
		return s.cutTail(b)
	}
	if s.First == nil || flush != Hold {
		return end
	}
	if start := s.lastFirst(b[:end]); start > 0 {
		return start
	}
	if full {
		return end
	}
	return 0
}

// cutLong is Cut where no line ends: a piece of a long line, or what is left.
func (s *Splitter) cutLong(b []byte, flush Flush) int {
	if len(b) >= s.MaxRecord {
		return edge(b, s.MaxRecord)
	}
	if flush == All {
		return len(b)
	}
	return 0
}

// cutTail takes all of b, whose last line has no end, unless that line is long
// enough to be split: its pieces are packets of their own.
func (s *Splitter) cutTail(b []byte) int {
	if end := bytes.LastIndexByte(b, '\n') + 1; len(b)-end >= s.MaxRecord {
		return end
	}
	return len(b)
}

// lastFirst returns where the last line of b begins that begins a record.
func (s *Splitter) lastFirst(b []byte) int {
	for end := len(b); end > 0; {
		start := bytes.LastIndexByte(b[:end-1], '\n') + 1
		if s.First.Match(strip(b[start:end])) {
			return start
		}
		end = start
	}
	return 0
}

func countLines(b []byte) int { return bytes.Count(b, []byte{'\n'}) }

// nthLine returns where the n-th line of b ends; len(b) if there are fewer.
func nthLine(b []byte, n int) int {
	if len(b) < n || countLines(b) <= n {
		return len(b)
	}
	at := 0
	for range n {
		at += bytes.IndexByte(b[at:], '\n') + 1
	}
	return at
}

// edge is n, or up to three bytes less so as not to cut a UTF-8 character.
func edge(b []byte, n int) int {
	if n >= len(b) {
		return len(b)
	}
	for i := n; i > n-utf8.UTFMax && i > 0; i-- {
		if utf8.RuneStart(b[i]) {
			return i
		}
	}
	return n // this is no UTF-8
}

// strip drops a line end and one CR before it.
func strip(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
		if n > 1 && line[n-2] == '\r' {
			line = line[:n-2]
		}
	}
	return line
}

// Each calls f with every record of a packet, in order: its text without the
// line end, and where it begins in b. mid says that b begins within a line, open
// that it surely ends within one.
func (s *Splitter) Each(b []byte, mid, open bool, f func(text []byte, at int, piece Piece)) {
	for at := 0; at < len(b); {
		end := s.recordEnd(b, at)
		s.pieces(b[:end], at, mid && at == 0, open && end == len(b), f)
		at = end
	}
}

// recordEnd returns where the record that begins at b[at] ends.
func (s *Splitter) recordEnd(b []byte, at int) int {
	end := lineEnd(b, at)
	for s.First != nil && end < len(b) {
		next := lineEnd(b, end)
		if s.First.Match(strip(b[end:next])) {
			break
		}
		end = next
	}
	return end
}

func lineEnd(b []byte, at int) int {
	if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(b)
}

// pieces tells one record, which ends where b ends. A record without a line end
// that is as long as a piece goes on in the next packet.
func (s *Splitter) pieces(b []byte, at int, mid, open bool, f func([]byte, int, Piece)) {
	piece := Whole
	if mid {
		piece = Last
	}
	for len(strip(b[at:])) > s.MaxRecord {
		n := edge(b[at:], s.MaxRecord)
		if piece == Whole {
			f(b[at:at+n], at, First)
		} else {
			f(b[at:at+n], at, Middle)
		}
		piece = Last
		at += n
	}
	rest := b[at:]
	open = open || rest[len(rest)-1] != '\n' && len(rest) > s.MaxRecord-utf8.UTFMax
	switch {
	case open && piece == Whole:
		piece = First
	case open:
		piece = Middle
	}
	f(strip(rest), at, piece)
}
