package config

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Report tells what the command line asked for besides running, and where each
// value came from. Immutable.
type Report struct {
	Check        bool
	Done         bool      // --help or --version were asked for and are answered
	File         string    // the configuration file; empty: none
	FileSettings int       // how many settings the file has a value for
	Settings     []Setting // in the order of the documentation
	Warnings     []string  // what is dangerous, or has no effect
}

// Setting is one value in force. Immutable.
type Setting struct {
	Flag   string // without dashes
	Value  string // as it was understood, or as given where it is faulty
	Origin string // "default", "flag --listen", "environment LISTEN" or "file sluice.yaml:3: listen"
}

// Given says whether the user gave it.
func (s Setting) Given() bool { return s.Origin != originDefault }

var (
	errNothingSet    = errors.New("the file sets nothing; it may be empty or cut off")
	errNoAnalyzerSet = errors.New("analyzers: neither the file nor a flag nor the environment names any, and a reload never falls back to the default ones")
)

// CheckReload refuses a configuration that may start a distributor but must not
// replace the one in force. A file that is empty, or that was cut off while it
// was written, is valid YAML, and would silently set everything to its default
// and send the packets to the analyzers of the demo.
func (r Report) CheckReload() error {
	if r.FileSettings == 0 {
		return fmt.Errorf("%s: %w", r.File, errNothingSet)
	}
	if r.analyzersAreDefault() {
		return fmt.Errorf("%s: %w", r.File, errNoAnalyzerSet)
	}
	return nil
}

func (r Report) analyzersAreDefault() bool {
	for _, s := range r.Settings {
		if s.Flag == analyzersFlag {
			return !s.Given()
		}
	}
	return true
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
