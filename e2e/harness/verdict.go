package harness

import (
	"fmt"
	"strings"
	"time"
)

// Result is the verdict on one scenario.
type Result struct {
	ID, Fault string
	Part      string // of the table

	Times, Due    int // how often the fault fired, and had to
	Issued, Acked int
	Lost, Dup     int
	Bound         int    // of Dup; -1: the scenario sends the same packets again by itself
	BoundIs       string // what the bound counts
	Settle        time.Duration
	Took          time.Duration
	Seen          []string // figures that the scenario is about

	Failures []string
	Invalid  []string // why the run says nothing
}

// Status is the verdict in a word. A run that says nothing did not pass.
func (r *Result) Status() string {
	switch {
	case len(r.Failures) > 0:
		return "FAILED"
	case len(r.Invalid) > 0:
		return "INVALID"
	}
	return "passed"
}

// Passed says whether the scenario was valid and kept its promises.
func (r *Result) Passed() bool { return r.Status() == "passed" }

func (r *Result) bound() string {
	if r.Bound < 0 {
		return "n/a"
	}
	return fmt.Sprintf("%d (%s)", r.Bound, r.BoundIs)
}

// Markdown returns the results as the tables of docs/RELIABILITY.md, one for
// each part.
func Markdown(results []*Result) string {
	var parts []string
	of := map[string][]*Result{}
	for _, r := range results {
		if of[r.Part] == nil {
			parts = append(parts, r.Part)
		}
		of[r.Part] = append(of[r.Part], r)
	}
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteString("\n")
		}
		if part != "" {
			fmt.Fprintf(&b, "%s:\n\n", part)
		}
		writeTable(&b, of[part])
	}
	return b.String()
}

func writeTable(b *strings.Builder, results []*Result) {
	b.WriteString("| row | fault | times | acknowledged | lost | dup | dup bound | settled within | verdict | seen |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|---|--:|---|---|\n")
	for _, r := range results {
		fmt.Fprintf(b, "| %s | %s | %d | %d | %d | %d | %s | %.1f s | %s | %s |\n", r.ID, r.Fault, r.Times, r.Acked,
			r.Lost, r.Dup, r.bound(), r.Settle.Seconds(), r.Status(), strings.ReplaceAll(strings.Join(r.Seen, "; "), "|", "\\|"))
	}
}

// Why tells what was wrong, a line each; empty if nothing was.
func (r *Result) Why() string {
	var b strings.Builder
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "%s failed: %s\n", r.ID, f)
	}
	for _, f := range r.Invalid {
		fmt.Fprintf(&b, "%s is invalid: %s\n", r.ID, f)
	}
	return b.String()
}
