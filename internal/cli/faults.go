package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ExitConfig is the exit code of a program that was started or configured
// wrongly: EX_CONFIG of sysexits.h.
const ExitConfig = 78

// Fault is one thing that is wrong, in the user's words. Immutable.
type Fault struct {
	Setting string // as the user gave it: "--listen" or "LISTEN"; may be empty
	Value   string // as the user gave it; empty when that is not the point
	Text    string
}

func (f Fault) Error() string {
	switch {
	case f.Setting == "":
		return f.Text
	case f.Value == "":
		return f.Setting + ": " + f.Text
	}
	return f.Setting + " " + strconv.Quote(f.Value) + ": " + f.Text
}

// Errors are all faults of a command line, an environment or a file at once,
// never none. Immutable.
type Errors struct{ Faults []Fault }

// Error has one line for each fault.
func (e *Errors) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Join makes one *Errors of all faults in errs, in their order; nil if there is
// none. An error that is not a Fault becomes one without a setting.
func Join(errs ...error) error {
	var faults []Fault
	for _, err := range errs {
		faults = appendFaults(faults, err)
	}
	if len(faults) == 0 {
		return nil
	}
	return &Errors{Faults: faults}
}

func appendFaults(faults []Fault, err error) []Fault {
	var all *Errors
	var one Fault
	joined, isJoined := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
	case isJoined:
		for _, e := range joined.Unwrap() {
			faults = appendFaults(faults, e)
		}
	case errors.As(err, &all):
		faults = append(faults, all.Faults...)
	case errors.As(err, &one):
		faults = append(faults, one)
	default:
		faults = append(faults, Fault{Text: err.Error()})
	}
	return faults
}

// Refuse prints every fault on a line of its own and returns [ExitConfig].
func Refuse(stderr io.Writer, err error) int {
	fmt.Fprintln(stderr, err)
	return ExitConfig
}
