package rawlog

import (
	"strings"
	"time"
)

// parsePriority reads "<34>" and what follows it: RFC 5424 if its version digit
// comes next, RFC 3164 otherwise.
func (p *Parser) parsePriority(s string, r *Record) bool {
	n, i := 0, 1
	for ; i < len(s) && i < 4 && isDigit(s[i]); i++ {
		n = n*10 + int(s[i]-'0')
	}
	if i == 1 || i == len(s) || s[i] != '>' || n > 191 {
		return false
	}
	s = s[i+1:]
	r.Level = severity(n & 7)
	r.int("facility", int64(n>>3))
	if body, ok := strings.CutPrefix(s, "1 "); ok && p.parse5424(body, r) {
		return true
	}
	r.Format, r.Message = Syslog3164, s
	if s == "" {
		return true
	}
	at := p.cutTime(s)
	if at.form == noTime {
		r.Source, r.Message = cutProgram(s, r) // "<13>app: message", as logger -t writes it without a header
		return true
	}
	r.Time = at.time
	parseTag(at.rest, r)
	return true
}

// parse5424 reads "TIMESTAMP HOSTNAME APP-NAME PROCID MSGID SD MSG", where "-"
// is nothing.
func (p *Parser) parse5424(s string, r *Record) bool {
	var head [5]string
	for i := range head {
		var found bool
		if head[i], s, found = strings.Cut(s, " "); !found {
			return false
		}
		if head[i] == "-" {
			head[i] = ""
		}
	}
	var t time.Time
	if head[0] != "" {
		at := p.cutTime(head[0])
		if at.form == noTime || at.rest != "" {
			return false
		}
		t = at.time
	}
	rest, ok := cutStructured(s, r)
	if !ok {
		return false
	}
	r.Format, r.Time, r.Source = Syslog5424, t, head[2]
	r.text("hostname", head[1])
	r.text("pid", head[3])
	r.text("msgid", head[4])
	r.Message = strings.TrimPrefix(rest, "\ufeff")
	return true
}

// cutStructured reads "-" or `[id name="value" …][…]`; a parameter becomes the
// field id.name.
func cutStructured(s string, r *Record) (rest string, ok bool) {
	if s == "-" || strings.HasPrefix(s, "- ") {
		return strings.TrimPrefix(s[1:], " "), true
	}
	fields := len(r.Fields)
	for strings.HasPrefix(s, "[") {
		if s, ok = cutElement(s[1:], r); !ok {
			r.Fields = r.Fields[:fields]
			return s, false
		}
	}
	return strings.TrimPrefix(s, " "), ok
}

// cutElement reads one element up to its "]".
func cutElement(s string, r *Record) (rest string, ok bool) {
	end := strings.IndexAny(s, " ]")
	if end < 1 {
		return s, false
	}
	id := s[:end]
	for s = s[end:]; strings.HasPrefix(s, " "); {
		name, after, found := strings.Cut(s[1:], `="`)
		if !found || name == "" || strings.ContainsAny(name, ` ]"`) {
			return s, false
		}
		value, after, closed := cutQuoted(after)
		if !closed {
			return s, false
		}
		r.text(id+"."+name, value)
		s = after
	}
	return strings.CutPrefix(s, "]")
}

// cutQuoted reads up to the closing quote; a backslash takes the next byte as
// it is if that is a quote, a backslash or a bracket.
func cutQuoted(s string) (value, rest string, ok bool) {
	escaped := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			value = s[:i]
			if escaped {
				value = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\]`, `]`).Replace(value)
			}
			return value, s[i+1:], true
		}
	}
	return "", s, false
}

// parseTag reads RFC 3164's "host program[123]: message".
func parseTag(s string, r *Record) {
	host, rest := cutWord(trimLeft(s))
	if strings.HasSuffix(host, ":") {
		rest = s // no host, as the kernel's and some containers' loggers write it
	} else {
		r.text("hostname", host)
	}
	r.Source, r.Message = cutProgram(skipSeparators(rest), r)
	if r.Level != "" {
		return
	}
	// Some programs tell a level at the front of the message.
	word, after := cutWord(r.Message)
	bare := trimBrackets(word)
	if l, ok := asLevel(bare); ok && len(bare) < len(word) {
		r.Level, r.Message = l, after
	}
}

// cutProgram takes "program(part)[123]: " off the front, and "program 1.2: "
// and "program: " with it.
func cutProgram(s string, r *Record) (program, message string) {
	s = trimLeft(s)
	end := strings.Index(s, ":")
	if end < 1 || end > maxTag {
		return "", s
	}
	tag := s[:end]
	message = trimLeft(s[end+1:])
	name := tag
	if i := strings.IndexAny(tag, "[( "); i >= 0 {
		name = tag[:i]
		if open := strings.LastIndexByte(tag, '['); open > 0 && strings.HasSuffix(tag, "]") {
			r.text("pid", tag[open+1:len(tag)-1])
		} else if tag[i] == ' ' && (i+1 == len(tag) || !isDigit(tag[i+1])) {
			return "", s // a sentence with a colon in it, and no tag
		}
		if tag[i] == '(' {
			if part, _, ok := strings.Cut(tag[i+1:], ")"); ok {
				r.text("part", part)
			}
		}
	}
	if !isName(name) {
		return "", s
	}
	return name, message
}

// maxTag is how far a tag may reach. RFC 3164 says 32; unit names are longer.
const maxTag = 128
