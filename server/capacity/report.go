package capacity

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"text/tabwriter"

	"sluice/server/config"
)

// Report is what config.Load reported, with what Fit found out. Immutable.
type Report struct {
	config.Report

	// A limit of 0 is not known.
	Memory          []Term // bytes at worst
	MemoryLimit     int64  // bytes
	Descriptors     []Term // open at worst
	DescriptorLimit int64
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

// Print writes the settings as a table; then, if Fit was asked, what they cost at
// worst; then the warnings.
func (r Report) Print(w io.Writer) error {
	if err := r.Report.Print(w); err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
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
