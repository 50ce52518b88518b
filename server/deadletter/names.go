package deadletter

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind says what becomes of the packets of a file. Immutable.
type Kind string

// The kinds.
const (
	Waiting Kind = "waiting" // to be delivered
	Refused Kind = "refused" // refused for ever by an analyzer; kept until somebody drops them
	Damaged Kind = "damaged" // set aside, because it cannot be read as frames
)

const (
	prefixLetters = "letters-"
	prefixRefused = "refused-"
	suffixFrames  = ".frames"
	suffixCursor  = ".cursor"
	suffixBad     = ".frames.bad" // and perhaps a number
	suffixTemp    = ".tmp"
	digits        = 16
)

// fileName is the name of a file of frames that is not damaged.
func fileName(k Kind, sequence int64) string {
	prefix := prefixLetters
	if k == Refused {
		prefix = prefixRefused
	}
	return fmt.Sprintf("%s%0*d%s", prefix, digits, sequence, suffixFrames)
}

// cursorName is the name of the cursor beside a file of letters.
func cursorName(file string) string { return strings.TrimSuffix(file, suffixFrames) + suffixCursor }

// parseName tells the kind and the sequence of a file that is ours and holds
// frames; false for everything else, cursors included.
func parseName(name string) (k Kind, sequence int64, ours bool) {
	rest, isLetters := strings.CutPrefix(name, prefixLetters)
	k = Waiting
	if !isLetters {
		if rest, ours = strings.CutPrefix(name, prefixRefused); !ours {
			return "", 0, false
		}
		k = Refused
	}
	if len(rest) < digits || strings.Trim(rest[:digits], "0123456789") != "" {
		return "", 0, false
	}
	sequence, err := strconv.ParseInt(rest[:digits], 10, 64)
	switch rest = rest[digits:]; {
	case err != nil:
		return "", 0, false
	case rest == suffixFrames:
		return k, sequence, true
	case strings.HasPrefix(rest, suffixBad):
		return Damaged, sequence, true
	}
	return "", 0, false
}

// createdAt is the time that a sequence stands for.
func createdAt(sequence int64) time.Time { return time.UnixMicro(sequence) }
