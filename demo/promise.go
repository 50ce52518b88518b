package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// promise is one line of the verdict.
type promise struct {
	what, promised, seen string
	kept                 bool
}

// verdict prints the promises as a table, and errs if one was broken.
func verdict(w io.Writer, title string, promises []promise) error {
	fmt.Fprintf(w, "\n%s\n", title)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "  \tpromised\tseen\t")
	broken := false
	for _, p := range promises {
		mark := "kept"
		if !p.kept {
			mark, broken = "BROKEN", true
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", p.what, p.promised, p.seen, mark)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if broken {
		return errBroken
	}
	return nil
}
