package rawlog

import (
	"strings"

	"sluice/protocol"
)

// head is what stands between the time and the message.
type head struct {
	level  protocol.Level
	source string
	rest   string
}

// maxHeadWords is how many words may stand before the message: a process
// number, a level, a thread, a class. More would eat into the message.
const maxHeadWords = 4

// cutHead takes level, process number, thread and source off the front of s.
func cutHead(s string, k kind) head {
	h := head{rest: strings.TrimLeft(s, " \t-|")}
	switch k {
	case syslog:
		_, h.rest = cutWord(h.rest) // the host
	case proxifier:
		if program, rest, ok := strings.Cut(h.rest, " - "); ok {
			h.source, h.rest = between(program+" ", ' '), rest
			return h
		}
	}
	for range maxHeadWords {
		word, rest := cutWord(h.rest)
		bare := strings.Trim(word, "[]<>():,|")
		l, isLevel := asLevel(bare)
		switch {
		case isLevel && h.level == "" && (len(bare) < len(word) || bare == strings.ToUpper(bare) || k != noTime):
			h.level = l
		case k != noTime && h.level == "" && isNumber(bare) && startsWithLevel(rest):
			// a process or thread number before the level
		case h.level != "" && h.source == "" && strings.HasPrefix(word, "["):
			// A thread is worth dropping for the class behind it, but only
			// then: "[client 192.0.2.1]" in this place belongs to the message.
			group, after, _ := cutGroup(h.rest)
			class, ok := classOf(group)
			after = strings.TrimLeft(after, " \t-|")
			if !ok {
				class, after = cutSource(after, k)
			}
			if class != "" {
				h.source, h.rest = class, after
			}
			return h
		default:
			if h.source == "" {
				h.source, h.rest = cutSource(h.rest, k)
			}
			return h
		}
		h.rest = strings.TrimLeft(rest, " \t-|")
	}
	return h
}

// cutSource takes "program[123]: " or "some.class.Name: " off the front.
func cutSource(s string, k kind) (string, string) {
	word, rest := cutWord(s)
	name, colon := strings.CutSuffix(word, ":")
	if !colon || name == "" || k == noTime && !strings.HasSuffix(name, "]") {
		return "", s
	}
	if i := strings.IndexAny(name, "[("); i > 0 {
		name = name[:i]
	}
	for i := range len(name) {
		if c := name[i]; !(isDigit(c) || c|0x20-'a' < 26 || strings.IndexByte("._-$/#", c) >= 0) {
			return "", s
		}
	}
	return name, rest
}

// classOf finds the class in ZooKeeper's "[thread:Class$Inner@123]".
func classOf(group string) (string, bool) {
	at := strings.LastIndexByte(group, '@')
	if at < 0 || !isNumber(group[at+1:]) {
		return "", false
	}
	name := group[:at]
	return name[strings.LastIndexByte(name, ':')+1:], true
}

func startsWithLevel(s string) bool {
	word, _ := cutWord(s)
	_, ok := asLevel(word)
	return ok
}

// cutGroup takes "[…]" off the front, brackets within brackets included.
func cutGroup(s string) (group, rest string, ok bool) {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return s[1:i], s[i+1:], true
			}
		}
	}
	return "", s, false
}

// cutWord returns the first word and what follows the blanks behind it.
func cutWord(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

func isNumber(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}
