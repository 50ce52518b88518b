package rawlog

import (
	"strings"

	"sluice/protocol"
)

// maxHeadWords is how many words may stand before the message: a process
// number, a level, a thread, a class. More would eat into the message.
const maxHeadWords = 4

// cutHead takes level, process number, thread and source off the front of what
// follows a time, in the orders in which the usual programs write them.
func cutHead(s string, r *Record) {
	for range maxHeadWords {
		s = skipSeparators(s)
		word, rest := cutWord(s)
		if word == "" {
			break
		}
		if r.Level == "" {
			if l, ok := levelWord(word, rest); ok {
				r.Level, s = l, rest
				continue
			}
			next := skipSeparators(rest)
			if isNumber(word) && (startsWithLevel(next) || startsWithNumber(next)) {
				r.text("thread", word)
				s = rest
				continue
			}
			if group, after, ok := cutGroup(s); ok && startsWithLevel(skipSeparators(after)) {
				r.text("thread", group) // log4j's "[thread] LEVEL"
				s = after
				continue
			}
			if r.Source == "" && len(rest) > 1 && (rest[0] == '-' || rest[0] == '|') && startsWithLevel(next) && isName(word) {
				r.Source, s = word, rest // Python's "name - LEVEL"
				continue
			}
			break
		}
		if isNumber(word) && strings.HasPrefix(rest, "--- ") {
			r.text("pid", word) // Spring's "LEVEL pid --- [thread]"
			s = rest
			continue
		}
		if word[0] == '[' && r.Source == "" {
			if after, ok := cutThread(s, r); ok {
				r.Message = after
				return
			}
		}
		break
	}
	s = skipSeparators(s)
	if r.Source == "" {
		r.Source, s = cutSource(s)
	}
	r.Message = s
}

// cutThread reads "[thread] class: " and ZooKeeper's "[thread:Class@123] - ".
// A thread is worth taking for the class behind it, but only then: "[client
// 192.0.2.1]" in this place belongs to the message.
func cutThread(s string, r *Record) (message string, ok bool) {
	group, after, ok := cutGroup(s)
	if !ok {
		return s, false
	}
	after = skipSeparators(after)
	if thread, class, line, ok := classOf(group); ok {
		r.Source = class
		r.text("thread", thread)
		r.int("line", int64(line))
		return after, true
	}
	class, message := cutSource(after)
	if class == "" {
		return s, false
	}
	r.Source = class
	r.text("thread", group)
	return message, true
}

// cutLevel reads a line without a time: it may begin with a level all the same,
// if that is written as nobody writes the first word of a sentence.
func (p *Parser) cutLevel(s string, r *Record) {
	word, rest := cutWord(s)
	bare := trimBrackets(word)
	l, ok := asLevel(bare)
	if ok && (len(bare) < len(word) || bare == strings.ToUpper(bare)) {
		r.Level, r.Message = l, skipSeparators(rest)
	}
}

// levelWord says whether a word behind a time is a level. A single letter is
// one in brackets, or where logcat's "tag:" follows; "I am here" is a sentence.
func levelWord(word, rest string) (protocol.Level, bool) {
	bare := trimBrackets(word)
	if len(bare) != 1 {
		return asLevel(bare)
	}
	if len(word) == 1 {
		tag, _ := cutWord(rest)
		if !strings.HasSuffix(tag, ":") {
			return "", false
		}
	}
	return levelOfLetter(bare[0])
}

func startsWithLevel(s string) bool {
	word, rest := cutWord(s)
	_, ok := levelWord(word, rest)
	return ok
}

func startsWithNumber(s string) bool {
	word, rest := cutWord(s)
	return isNumber(word) && startsWithLevel(rest)
}

// cutSource takes "program[123]: ", "some.class.Name: " or "Name : " off the
// front.
func cutSource(s string) (source, rest string) {
	word, rest := cutWord(s)
	name, colon := strings.CutSuffix(word, ":")
	if !colon {
		if after, ok := strings.CutPrefix(rest, ": "); ok && isName(word) {
			return word, trimLeft(after)
		}
		return "", s
	}
	if i := strings.IndexAny(name, "[("); i > 0 {
		name = name[:i]
	}
	if !isName(name) {
		return "", s
	}
	return name, rest
}

// isName says whether a word can be the name of a program or of a class.
func isName(s string) bool {
	if s == "" || isDigit(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !(isDigit(c) || c|0x20-'a' < 26 || c == '.' || c == '_' || c == '-' || c == '$' || c == '/' || c == '#') {
			return false
		}
	}
	return true
}

// classOf finds the class in ZooKeeper's "thread:Class$Inner@123".
func classOf(group string) (thread, class string, line int, ok bool) {
	at := strings.LastIndexByte(group, '@')
	if at < 0 || !isNumber(group[at+1:]) || len(group)-at > 9 {
		return "", "", 0, false
	}
	name := group[:at]
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		thread, name = name[:i], name[i+1:]
	}
	return thread, name, num(group, at+1, len(group)-at-1), name != ""
}

// cutGroup takes "[…]" off the front, brackets within brackets included.
func cutGroup(s string) (group, rest string, ok bool) {
	if s == "" || s[0] != '[' {
		return "", s, false
	}
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
	for i := range len(s) {
		if s[i] == ' ' || s[i] == '\t' {
			return s[:i], trimLeft(s[i:])
		}
	}
	return s, ""
}

func trimLeft(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

// skipSeparators drops the blanks, dashes and bars between the parts of a head.
// A dash is one only if a blank follows: "-1 left" is a message.
func skipSeparators(s string) string {
	for {
		i := 0
		for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '|') {
			i++
		}
		s = s[i:]
		for i = 0; i < len(s) && s[i] == '-'; i++ {
		}
		if i == 0 || i < len(s) && s[i] != ' ' {
			return s
		}
		s = s[i:]
	}
}

// trimBrackets drops what programs put around a level.
func trimBrackets(s string) string {
	for s != "" && strings.IndexByte("[<(", s[0]) >= 0 {
		s = s[1:]
	}
	for s != "" && strings.IndexByte("]>):,|", s[len(s)-1]) >= 0 {
		s = s[:len(s)-1]
	}
	return s
}

func isNumber(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}
