package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
)

// promise is one line of the verdict.
type promise struct {
	what, promised, seen string
	kept                 bool
	// noisy: a machine that is too busy breaks it, so that it is worth another
	// look. What is promised whatever happens is never noisy.
	noisy bool
}

// looks is how often a promise that noise can break is looked at.
const looks = 3

// errNoise says that what was broken may be the machine's doing.
var errNoise = errors.New("broken, perhaps by noise")

// look shows a demonstration until its promises are kept, or one is broken that
// no noise can break, or it was broken looks times.
func look(w io.Writer, demonstrate func() error) error {
	for i := 1; ; i++ {
		err := demonstrate()
		if !errors.Is(err, errNoise) {
			return err
		}
		if i == looks {
			return errBroken
		}
		fmt.Fprintf(w, "  Other work on this machine can be the reason: looking again (%d of %d)\n", i+1, looks)
	}
}

// verdict prints the promises as a table. It returns errBroken if one was broken,
// and errNoise if only such as a busy machine breaks.
func verdict(w io.Writer, title string, promises []promise) error {
	fmt.Fprintf(w, "\n%s\n", title)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "  \tpromised\tseen\t")
	var broken error
	for _, p := range promises {
		mark := "kept"
		switch {
		case p.kept:
		case p.noisy:
			mark, broken = "MISSED", cmp.Or(broken, errNoise)
		default:
			mark, broken = "BROKEN", errBroken
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", p.what, p.promised, p.seen, mark)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return broken
}
