package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
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

	// What Fit found out. A limit of 0 is not known.
	Memory          []Term // bytes at worst
	MemoryLimit     int64  // bytes
	Descriptors     []Term // open at worst
	DescriptorLimit int64
	Warnings        []string // what was lowered and why, and what is dangerous
}

// Setting is one value in force. Immutable.
type Setting struct {
	Flag   string // without dashes
	Value  string // as it was understood, or as given where it is faulty
	Origin string // "default", "flag --listen", "environment LISTEN" or "file sluice.yaml:3: listen"
}

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
			return s.Origin == originDefault
		}
	}
	return true
}

// Log writes the warnings, and the worst case in one line.
func (r Report) Log(log *slog.Logger) {
	for _, w := range r.Warnings {
		log.Warn(w)
	}
	var parts []any
	for _, t := range r.Memory {
		parts = append(parts, slog.String(t.Key, showSize(t.total())))
	}
	log.Info("memory and descriptors at worst", "memory", showSize(sum(r.Memory)), "memory_limit", showLimit(r.MemoryLimit, showSize),
		"descriptors", sum(r.Descriptors), "descriptor_limit", showLimit(r.DescriptorLimit, showCount), slog.Group("of_memory", parts...))
}

// Print writes the settings as a table, a list value over several lines; then,
// if Fit was asked, what they cost at worst.
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
	printTerms(table, "MEMORY AT WORST", r.Memory, r.MemoryLimit, showSize)
	printTerms(table, "DESCRIPTORS AT WORST", r.Descriptors, r.DescriptorLimit, showCount)
	if err := table.Flush(); err != nil {
		return err
	}
	for _, warning := range r.Warnings {
		if _, err := fmt.Fprintln(w, "warning:", warning); err != nil {
			return err
		}
	}
	return nil
}

func printTerms(w io.Writer, title string, terms []Term, limit int64, show func(int64) string) {
	if len(terms) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\tHOW MANY × HOW MUCH\tIN ALL\n", title)
	for _, t := range terms {
		fmt.Fprintf(w, "%s\t%s\t%s\n", t.What, showTerm(t, show), show(t.total()))
	}
	fmt.Fprintf(w, "sum\t\t%s\nlimit\t\t%s\n", show(sum(terms)), showLimit(limit, show))
}

func showTerm(t Term, show func(int64) string) string {
	return strconv.FormatInt(t.Count, 10) + " × " + show(t.Each)
}

func showLimit(limit int64, show func(int64) string) string {
	if limit <= 0 {
		return "not known"
	}
	return show(limit)
}
