package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// series are the runs of one peer, as fast as it goes.
type series struct {
	Name      string   `json:"name"`
	Title     string   `json:"title"`
	Version   string   `json:"version,omitempty"`
	PerRecord bool     `json:"balances_records"` // false: connections
	Ack       string   `json:"ack_means"`
	Setup     string   `json:"setup"`
	Runs      []sample `json:"runs"`
	Missing   string   `json:"not_installed,omitempty"` // why it was not measured
	failures
}

// failures are runs that have no figures. They are told, and the other rounds
// count.
type failures struct {
	Failed []string `json:"failed,omitempty"`
}

func (f *failures) fail(part string, round int, name string, err error) {
	f.Failed = append(f.Failed, fmt.Sprintf("round %d: %v", round+1, err))
	progress(part, round, name, "%v", err)
}

// reason is why there are no figures at all.
func (f *failures) reason() string {
	if len(f.Failed) == 0 {
		return errNotInstalled.Error()
	}
	return f.Failed[0]
}

// reason is why there are no figures at all.
func (s *series) reason() string { return cmp.Or(s.Missing, s.failures.reason()) }

// outcome is everything that was measured.
type outcome struct {
	Schema     int             `json:"schema"` // 1
	About      about           `json:"about"`
	Throughput []series        `json:"throughput,omitempty"`
	Peak       float64         `json:"peak_records_per_second,omitempty"`
	Latency    []latencySeries `json:"latency,omitempty"`
	Ingest     []ingestSeries  `json:"ingest,omitempty"`
	Verdicts   []verdict       `json:"verdicts"`
	Baseline   []comparison    `json:"baseline,omitempty"`
}

// Run measures what was asked for and writes the reports.
func (c *compareCmd) Run(ctx context.Context) error {
	c.setDefaults()
	if c.Runs < 1 || c.Agents < 1 || c.Duration < time.Second {
		return errors.New("--runs and --agents: want at least 1; --duration: at least 1s")
	}
	if c.Baseline != "" && c.Runs < minRounds {
		return fmt.Errorf("--runs %d: a comparison with --baseline needs at least %d rounds for an interval", c.Runs, minRounds)
	}
	chosen, err := c.choose()
	if err != nil {
		return err
	}
	if c.Work == "" {
		if c.Work, err = os.MkdirTemp("", "sluice-peers-"); err != nil {
			return err
		}
		defer os.RemoveAll(c.Work)
	} else if err := os.MkdirAll(c.Work, 0o755); err != nil {
		return err
	}
	o := outcome{Schema: 1, About: c.about(ctx)}
	if slices.Contains(c.Parts, "throughput") {
		o.Throughput = c.compare(ctx, chosen)
	}
	if slices.Contains(c.Parts, "latency") && ctx.Err() == nil {
		if o.Peak, err = c.peak(ctx, o.Throughput); err != nil {
			return err
		}
		o.Latency = c.latency(ctx, chosen, o.Peak)
	}
	if slices.Contains(c.Parts, "ingest") && ctx.Err() == nil {
		o.Ingest = c.ingest(ctx, chosen)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Baseline == "" {
		o.Verdicts = judge(&o)
	} else {
		o.Baseline = compareWithBaseline(&o)
	}
	return errors.Join(c.write(&o), o.failed(), worse(o.Baseline))
}

// setDefaults sets what depends on other flags.
func (c *compareCmd) setDefaults() {
	if c.Runs == 0 {
		c.Runs = 7
		if c.Baseline != "" {
			c.Runs = 15
		}
	}
	if c.Baseline != "" && len(c.Only) == 0 {
		c.Only = []string{"sluice", "baseline"}
	}
}

// choose returns the peers that --only names.
func (c *compareCmd) choose() ([]peer, error) {
	all := peers()
	if c.Baseline != "" {
		// Behind the new one, so that the two run one after the other.
		all = slices.Insert(all, 1, baseline(c.Baseline))
		for i := range all[:2] {
			if all[i].find(c.Bin) == "" {
				return nil, fmt.Errorf("%s: there is no server in %s", all[i].name, all[i].folder(c.Bin))
			}
		}
	}
	if len(c.Only) == 0 {
		return all, nil
	}
	var chosen []peer
	for _, p := range all {
		if slices.Contains(c.Only, p.name) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) != len(c.Only) {
		return nil, fmt.Errorf("--only %v: there are sluice, baseline (with --baseline DIR), haproxy, haproxy-16k, nginx, nats, rsyslog", c.Only)
	}
	return chosen, nil
}

// compare runs all in turn, round by round.
func (c *compareCmd) compare(ctx context.Context, chosen []peer) []series {
	all := make([]series, len(chosen))
	for i, p := range chosen {
		all[i] = series{Name: p.name, Title: p.title, PerRecord: p.perRecord, Ack: p.ack, Setup: p.note}
		if program, err := p.available(c.Bin); err != nil {
			all[i].Missing = err.Error()
		} else {
			all[i].Version = p.tellVersion(program)
		}
	}
	for round := range c.Runs {
		for k := range chosen {
			i := (k + round) % len(chosen) // of two, each is the first every other round
			if all[i].Missing != "" {
				continue
			}
			if ctx.Err() != nil {
				return all
			}
			run, err := c.throughput(ctx, &chosen[i], round+1)
			if err != nil {
				all[i].fail("throughput", round, chosen[i].name, err)
				continue
			}
			all[i].Runs = append(all[i].Runs, run)
			progress("throughput", round, chosen[i].name, "%.0f records/s, lost %d, %.3f µs of CPU each, %.1f cores, %d MiB, off by %.0f",
				run.Rate, run.Lost, run.CPU, run.Cores, run.PeakRSS>>20, run.Off)
		}
	}
	return all
}

// peak is what the latency part takes fractions of.
func (c *compareCmd) peak(ctx context.Context, measured []series) (float64, error) {
	if c.Peak > 0 {
		return c.Peak, nil
	}
	for _, s := range measured {
		if s.Name == "sluice" && len(s.Runs) > 0 {
			return summarize(s.Runs, sample.rate).Median, nil
		}
	}
	p := sluice()
	run, err := c.throughput(ctx, &p, 0)
	return run.Rate, err
}

// failed is an error if a run failed.
func (o *outcome) failed() error {
	var errs []error
	add := func(name string, f failures) {
		for _, why := range f.Failed {
			errs = append(errs, fmt.Errorf("%s, %s", name, why))
		}
	}
	for _, s := range o.Throughput {
		add(s.Name, s.failures)
	}
	for _, s := range o.Latency {
		add(s.Name+", latency at "+s.Load, s.failures)
	}
	for _, s := range o.Ingest {
		add(s.Name+", ingest", s.failures)
	}
	return errors.Join(errs...)
}

// progress tells on standard error that a run has ended.
func progress(part string, round int, name, format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%-10s round %d  %-8s %s\n", part, round+1, name, fmt.Sprintf(format, args...))
}
