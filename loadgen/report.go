package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/internal/cli"
)

// result is what a run has shown. Its JSON is described in README.md; fields
// are only ever added.
type result struct {
	Schema      int       `json:"schema"` // 1
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	Addr        []string  `json:"addr"`
	Proto       string    `json:"proto"`
	Connections int       `json:"connections"`
	Compress    string    `json:"compress"`
	Rate        float64   `json:"planned_packets_per_second,omitempty"`
	Interrupted bool      `json:"interrupted"`

	ElapsedSeconds float64 `json:"elapsed_seconds"`
	Planned        uint64  `json:"planned_packets,omitempty"` // 0: the time decided
	Sent           uint64  `json:"sent_packets"`              // each counted once
	Delivered      uint64  `json:"delivered_packets"`
	Failed         uint64  `json:"failed_packets"`
	Messages       uint64  `json:"delivered_messages"`
	Bytes          uint64  `json:"sent_bytes"` // on the wire, resends included
	Busy           uint64  `json:"busy_answers"`
	Resends        uint64  `json:"resends"`
	Reconnects     uint64  `json:"reconnects"`

	PacketsPerSecond  float64 `json:"packets_per_second"` // delivered
	MessagesPerSecond float64 `json:"messages_per_second"`
	MBPerSecond       float64 `json:"megabytes_per_second"` // sent, 10⁶ bytes
	SuccessRate       float64 `json:"success_rate"`         // delivered / sent, 0 to 1

	Latency  latency           `json:"latency_ms"`
	Failures map[string]uint64 `json:"failures,omitempty"` // packets by reason
	examples map[string]string
}

// latency is in milliseconds.
type latency struct {
	Samples int64   `json:"samples"`
	From    string  `json:"from"` // "hand-over" or "planned time"
	Mean    float64 `json:"mean"`
	P50     float64 `json:"p50"`
	P90     float64 `json:"p90"`
	P99     float64 `json:"p99"`
	P999    float64 `json:"p99.9"`
	Max     float64 `json:"max"`
}

func newResult(o *options, p *plan, conns []conn, elapsed time.Duration) *result {
	c := sum(conns)
	s := elapsed.Seconds()
	r := &result{
		Schema: 1, Version: cli.Version(), Started: p.start, Addr: o.Addr, Proto: o.Proto,
		Connections: o.Connections, Compress: o.Compress, Rate: o.Rate,
		ElapsedSeconds: s, Planned: p.total, Sent: c.delivered + c.failed, Delivered: c.delivered, Failed: c.failed,
		Messages: c.messages, Bytes: c.bytes, Busy: c.busy, Resends: c.resends, Reconnects: c.reconnects,
		PacketsPerSecond: float64(c.delivered) / s, MessagesPerSecond: float64(c.messages) / s,
		MBPerSecond: float64(c.bytes) / s / 1e6,
		Failures:    map[string]uint64{}, examples: map[string]string{},
	}
	if r.Sent > 0 {
		r.SuccessRate = float64(r.Delivered) / float64(r.Sent)
	}
	h := newHistogram()
	for _, c := range conns {
		h.Merge(c.latency().hist)
		f := c.failed()
		for code, n := range f.byCode {
			r.Failures[code] += n
		}
		maps.Copy(r.examples, f.example)
	}
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e3 }
	r.Latency = latency{
		Samples: h.TotalCount(), From: "hand-over", Mean: h.Mean() / 1e3,
		P50: ms(50), P90: ms(90), P99: ms(99), P999: ms(99.9), Max: float64(h.Max()) / 1e3,
	}
	if o.Rate > 0 {
		r.Latency.From = "planned time"
	}
	return r
}

// good says whether every packet that was sent was delivered, and any was sent
// at all. That not all were sent is an error of the run itself.
func (r *result) good() bool { return r.Sent > 0 && r.Failed == 0 }

// print writes the summary for people.
func (r *result) print(w io.Writer) {
	if r.Schema == 0 {
		return // nothing was sent at all
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(w, "%s over %d connections to %s (%s)\n",
		plural(r.Sent, "packet"), r.Connections, strings.Join(r.Addr, ", "), r.Proto)
	if r.Interrupted {
		row("interrupted", "before the planned end")
	}
	row("elapsed", "%.3f s", r.ElapsedSeconds)
	row("packets/s", "%.0f", r.PacketsPerSecond)
	row("messages/s", "%.0f", r.MessagesPerSecond)
	row("MB/s", "%.1f", r.MBPerSecond)
	row("success", "%s of %s (%d delivered, %d not)", percent(r.SuccessRate), plural(r.Sent, "packet"), r.Delivered, r.Failed)
	row("busy answers", "%d", r.Busy)
	row("resends", "%d", r.Resends)
	row("reconnects", "%d", r.Reconnects)
	l := r.Latency
	row("latency ms", "p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f", l.P50, l.P90, l.P99, l.P999, l.Max)
	row("", "of %d samples, from %s to answer", l.Samples, l.From)
	for _, code := range slices.Sorted(maps.Keys(r.Failures)) {
		row("not delivered", "%d × %s: %s", r.Failures[code], code, r.examples[code])
	}
}

func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// percent never rounds a failure up to 100 %.
func percent(share float64) string {
	if share < 1 && share > 0.9999 {
		return "99.99 %"
	}
	return fmt.Sprintf("%.2f %%", share*100)
}
