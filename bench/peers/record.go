package main

import (
	"fmt"
	"strings"
)

// dialect is how records look to a peer that takes records.
type dialect string

const (
	lines dialect = "lines" // syslog lines over TCP, each ended by LF
	nats  dialect = "nats"  // PUB and MSG of the NATS protocol
)

// subject is where NATS records are published.
const subject = "logs"

// numberDigits make each record another one, as loadgen's packets are.
const numberDigits = 12

// template is a record ready to be sent, whose number is patched in place: it
// costs a copy, as loadgen's packets do.
type template struct {
	bytes []byte
	at    int // of the number
}

// newTemplate makes a record of exactly size bytes. What a dialect puts around
// a record comes on top, except for the LF of a line.
func newTemplate(d dialect, size int) (template, error) {
	head := "<14>Nov 23 10:00:00 agent-1 app: "
	before, after := "", "\n"
	if d == nats {
		before, after = fmt.Sprintf("PUB %s %d\r\n", subject, size), "\r\n"
	}
	number := strings.Repeat("0", numberDigits) + " "
	fill := size - len(head) - len(number)
	if d == lines {
		fill -= len(after)
	}
	if fill < 0 {
		return template{}, fmt.Errorf("a record of %d bytes has no room for its header", size)
	}
	text := strings.Repeat("request completed in 12 ms for user 4711 with status ok ", 1+fill/56)[:fill]
	return template{bytes: []byte(before + head + number + text + after), at: len(before) + len(head)}, nil
}

// appendTo appends record n.
func (t *template) appendTo(dst []byte, n uint64) []byte {
	at := len(dst) + t.at
	dst = append(dst, t.bytes...)
	for i := range numberDigits {
		dst[at+i] = "0123456789abcdef"[n>>(4*(numberDigits-1-i))&15]
	}
	return dst
}
