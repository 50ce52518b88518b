package ratelog

import "regexp"

// changing is what may differ between two errors that say the same: numbers
// (ports, durations, counts, identifiers) and addresses of IPv4 and IPv6, with
// their zones and units.
var changing = regexp.MustCompile(`\[?[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*(%[\w.-]+)?\]?(:\d+)?|0x[0-9a-fA-F]+|(\d[\d.,:]*(ns|µs|us|ms|s|m|h)?)+`)

// Kind is an error's text without what changes from one time to the next. Two
// errors of one kind need not both be read.
func Kind(text string) string { return changing.ReplaceAllLiteralString(text, "#") }

// mostKinds is how many kinds of one thing's errors are told: a few appear in
// turns while a network or a name server fails, and what has more is noise.
const mostKinds = 8

// Faults decides which errors of one thing that goes on failing are worth a
// line: each kind once, until it is over. The zero value is ready. It is owned
// by its caller.
type Faults struct {
	kinds      map[string]struct{}
	suppressed uint64 // since the last line
}

// IsNews says whether an error is of a kind that was not told yet. If so, the
// line that it is worth is to have the number of those that were not told since
// the line before.
func (f *Faults) IsNews(text string) (news bool, suppressed uint64) {
	kind := Kind(text)
	_, known := f.kinds[kind]
	if known || len(f.kinds) >= mostKinds {
		f.suppressed++
		return false, 0
	}
	if f.kinds == nil {
		f.kinds = make(map[string]struct{})
	}
	f.kinds[kind] = struct{}{}
	return true, f.take()
}

// Over forgets what was told, because the thing does not fail any more. It
// returns how many errors were not told since the last line.
func (f *Faults) Over() (suppressed uint64) {
	f.kinds = nil
	return f.take()
}

func (f *Faults) take() uint64 {
	n := f.suppressed
	f.suppressed = 0
	return n
}
