package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Report tells what the command line asked for besides running, and where each
// value came from. Immutable.
type Report struct {
	Check, Help, Version bool
	Settings             []Setting // in the order of the documentation
}

// Setting is one value in force. Immutable.
type Setting struct {
	Flag   string // without dashes
	Value  string // as it was understood, or as given where it is faulty
	Origin string // "default", "flag --listen" or "environment LISTEN"
}

// Print writes the settings as a table, a list value over several lines.
func (r Report) Print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SETTING\tVALUE\tFROM")
	for _, s := range r.Settings {
		first, rest, _ := strings.Cut(s.Value, "\n")
		fmt.Fprintf(table, "%s\t%s\t%s\n", s.Flag, first, s.Origin)
		for rest != "" {
			first, rest, _ = strings.Cut(rest, "\n")
			fmt.Fprintf(table, "\t%s\t\n", first)
		}
	}
	return table.Flush()
}
