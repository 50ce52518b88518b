package main

import (
	"cmp"
	"fmt"
	"math"
	"strings"
)

// markdown writes tables for docs/PERFORMANCE.md.
func (o *outcome) markdown() string {
	var out strings.Builder
	o.About.markdown(&out)
	if len(o.Throughput) > 0 {
		throughputTable(&out, o.Throughput)
	}
	if len(o.Latency) > 0 {
		latencyTable(&out, o.Latency, o.Peak)
	}
	if len(o.Ingest) > 0 {
		ingestTable(&out, o.Ingest)
	}
	if len(o.Verdicts) > 0 {
		fmt.Fprint(&out, "\n### Promised and measured\n\n| | measured | promised | |\n|---|---:|---:|---|\n")
		for _, v := range o.Verdicts {
			sign, kept := "≤", "missed"
			if v.AtLeast {
				sign = "≥"
			}
			if v.Kept {
				kept = "kept"
			}
			fmt.Fprintf(&out, "| %s | %s%s | %s %g | %s |\n", v.What, figure(v.Measured), v.Unit, sign, v.Limit, kept)
		}
	}
	if len(o.Baseline) > 0 {
		baselineTable(&out, o.Baseline)
	}
	return out.String()
}

func (a about) markdown(out *strings.Builder) {
	fmt.Fprint(out, "# Side by side\n\nWritten by `make peers`.\n\n")
	fmt.Fprintf(out, "Measured %s at commit %s on %s, %d cores, %d MiB, %s; load average before it: %s.\n",
		a.Date.Format("2006-01-02 15:04 UTC"), a.Commit, a.CPU, a.Cores, a.MemoryMB, a.Kernel, a.Load)
	if a.busy() {
		fmt.Fprint(out, "**Provisional: the machine had other work.**\n")
	}
	fmt.Fprintf(out, "%d rounds of %g s, interleaved; %d agents, %d sinks with weights 40/30/20/10, records of %d bytes; all on this machine.\n",
		a.Rounds, a.Seconds, a.Agents, len(weights), a.Size)
	fmt.Fprintf(out, "Medians, with the smallest and the largest run in brackets. Command:\n\n    %s\n", a.Command)
}

func throughputTable(out *strings.Builder, all []series) {
	base := runsOf(all, "haproxy")
	fmt.Fprint(out, "\n### As fast as it goes\n\n"+
		"| in the middle | deals | 1,000 records/s | × HAProxy | CPU µs/record | × HAProxy | agents’ CPU | sinks’ CPU | cores | peak RSS MiB | lost | shares % | off by |\n"+
		"|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|\n")
	for _, s := range all {
		if len(s.Runs) == 0 {
			fmt.Fprintf(out, "| %s | not measured: %s |%s\n", s.Title, oneLine(s.reason()), strings.Repeat(" |", 11))
			continue
		}
		deals := "connections"
		if s.PerRecord {
			deals = "records"
		}
		lost := summarize(s.Runs, func(r sample) float64 { return float64(r.Lost) })
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", s.Title, deals,
			spread(summarize(s.Runs, func(r sample) float64 { return r.Rate / 1e3 })), spread(ratio(s.Runs, base, sample.rate)),
			spread(summarize(s.Runs, sample.cpu)), spread(ratio(s.Runs, base, sample.cpu)),
			figure(summarize(s.Runs, func(r sample) float64 { return r.AgentsCPU }).Median),
			figure(summarize(s.Runs, func(r sample) float64 { return r.SinksCPU }).Median),
			figure(summarize(s.Runs, func(r sample) float64 { return r.Cores }).Median),
			spread(summarize(s.Runs, func(r sample) float64 { return float64(r.PeakRSS) / (1 << 20) })),
			spread(lost), shares(s.Runs), offBy(s.Runs))
	}
	fmt.Fprint(out, "\nCPU, cores and RSS are those of the process in the middle with its children; what all agents and all sinks take for a record stands beside it, because all share the machine. *Shares* are those of all runs together; *off by* is the farthest that a sink was from its weight in any run, in records and in percent of the run's.\n")
	fmt.Fprint(out, "\n| in the middle | version | set up | what an answer to the agent means |\n|---|---|---|---|\n")
	for _, s := range all {
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", s.Title, cmp.Or(s.Version, "–"), s.Setup, s.Ack)
		for _, why := range s.Failed {
			fmt.Fprintf(out, "| | | | **failed in %s** |\n", oneLine(why))
		}
	}
	for _, s := range all {
		if s.Name == "sluice" || s.Name == "baseline" {
			sluiceNote(out, s.Title, s.Runs)
		}
	}
}

// sluiceNote tells what only Sluice counts.
func sluiceNote(out *strings.Builder, title string, runs []sample) {
	var spilled, elsewhere, busy, received, twice uint64
	var unaccounted int64
	for _, r := range runs {
		spilled, elsewhere, busy, received, twice = spilled+r.Spilled, elsewhere+r.Elsewhere, busy+r.Busy, received+r.Received, twice+r.Twice
		unaccounted += r.Unsettled
	}
	fmt.Fprintf(out, "\n%s over all runs: %d packets received by analyzers, %d of them twice; %d spilled to another analyzer because the picked one was late, %d taken back and dispatched again, %d answers `busy`, %d unaccounted.\n",
		title, received, twice, spilled, elsewhere, busy, unaccounted)
}

func latencyTable(out *strings.Builder, all []latencySeries, peak float64) {
	fmt.Fprintf(out, "\n### Acknowledgement latency\n\nOpen-loop: packets leave at planned times, and latency counts from these. The peak is %s packets/s, Sluice's. Medians of each percentile over the runs, in milliseconds.\n\n", thousands(peak))
	fmt.Fprint(out, "| load | in the middle | planned/s | reached/s | p50 | p90 | p99 | p99.9 | max | p99 × HAProxy | CPU µs/packet |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, s := range all {
		if len(s.Runs) == 0 {
			fmt.Fprintf(out, "| %s | %s | not measured: %s |%s\n", s.Load, s.Title, oneLine(s.reason()), strings.Repeat(" |", 8))
			continue
		}
		q := s.percentiles()
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", s.Load, s.Title, thousands(s.Rate),
			thousands(summarize(s.Runs, func(r latencySample) float64 { return r.Rate }).Median),
			figure(q[0]), figure(q[1]), spread(summarize(s.Runs, latencySample.p99)), figure(q[3]), figure(q[4]),
			spread(ratio(s.Runs, latencyOf(all, "haproxy", s.Load), latencySample.p99)),
			figure(summarize(s.Runs, func(r latencySample) float64 { return r.CPU }).Median))
	}
}

// percentiles are p50, p90, p99, p99.9 and the maximum.
func (s *latencySeries) percentiles() [5]float64 {
	var q [5]float64
	for i, of := range []func(latencySample) float64{
		func(r latencySample) float64 { return r.Latency.P50 },
		func(r latencySample) float64 { return r.Latency.P90 },
		latencySample.p99,
		func(r latencySample) float64 { return r.Latency.P999 },
		func(r latencySample) float64 { return r.Latency.Max },
	} {
		q[i] = summarize(s.Runs, of).Median
	}
	return q
}

func ingestTable(out *strings.Builder, all []ingestSeries) {
	fmt.Fprint(out, "\n### POST /ingest, JSON with one message\n\nThe same client asks both; Sluice's CPU holds the way to the analyzer and its ACK.\n\n| server | requests/s | CPU µs/request | × empty |\n|---|---:|---:|---:|\n")
	for _, s := range all {
		if len(s.Runs) == 0 {
			fmt.Fprintf(out, "| %s | not measured: %s | | |\n", s.Title, oneLine(s.reason()))
			continue
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", s.Title, spread(summarize(s.Runs, ingestSample.rate)),
			spread(summarize(s.Runs, ingestSample.cpu)), spread(ratio(s.Runs, ingestOf(all, "empty"), ingestSample.cpu)))
	}
}

// spread is a median with the smallest and largest value beside it.
func spread(s summary) string {
	switch {
	case s.N == 0:
		return "–"
	case s.Min == s.Max:
		return figure(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", figure(s.Median), figure(s.Min), figure(s.Max))
}

// figure is a number with three digits that matter, or whole.
func figure(v float64) string {
	switch abs := math.Abs(v); {
	case abs == 0:
		return "0"
	case abs >= 1000:
		return thousands(v)
	case abs >= 100:
		return fmt.Sprintf("%.0f", v)
	case abs >= 10:
		return fmt.Sprintf("%.1f", v)
	case abs >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// thousands is a whole number with commas.
func thousands(v float64) string {
	text := fmt.Sprintf("%.0f", v)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

func shares(runs []sample) string {
	var each [len(weights)]uint64
	var total uint64
	for _, r := range runs {
		for i, n := range r.Each {
			each[i] += n
			total += n
		}
	}
	parts := make([]string, len(each))
	for i, n := range each {
		parts[i] = fmt.Sprintf("%.1f", 100*float64(n)/float64(total))
	}
	return strings.Join(parts, " / ")
}

func offBy(runs []sample) string {
	return fmt.Sprintf("%s (%.4g %%)", thousands(summarize(runs, sample.off).Max), summarize(runs, sample.offShare).Max)
}

// oneLine fits a reason into a table.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "/")
}
