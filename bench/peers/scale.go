package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sluice/bench/cost"
)

// scaleCmd measures Sluice over the points of cost.Grid, fits the model of
// package cost to them, and writes what it found.
//
// The file of raw runs is written after each run, and what it holds is not
// measured again: a measurement may be cut off, or made in pieces (--limit).
type scaleCmd struct {
	Runs     int           `default:"3" help:"Rounds; in each, every point of the grid is measured once."`
	Duration time.Duration `default:"1s" help:"How long agents send in a run."`
	Limit    time.Duration `placeholder:"TIME" help:"Stop after so long; the same command goes on from there. Default: none."`
	Bin      string        `default:"bin" help:"Folder with server, analyzer and loadgen."`
	JSON     string        `name:"json" default:"bin/scale.json" placeholder:"FILE" help:"Every single run."`
	Markdown string        `placeholder:"FILE" help:"Write the model as Markdown. Default: to standard output."`
	SVG      string        `name:"svg" placeholder:"FILE" help:"Write a chart of measured against predicted."`
}

// scaleRuns is the file of raw runs.
type scaleRuns struct {
	Schema int          `json:"schema"` // 1
	About  about        `json:"about"`
	Points []scalePoint `json:"points"` // as cost.Grid
}

// scalePoint is a point of the grid with the runs it has so far.
type scalePoint struct {
	cost.Point
	Runs []sample `json:"runs"`
}

// Run measures what is missing and, when nothing is, writes the reports.
func (c *scaleCmd) Run(ctx context.Context) error {
	if c.Runs < 1 || c.Duration < time.Second {
		return errors.New("--runs: want at least 1; --duration: at least 1s")
	}
	all, err := c.load(ctx)
	if err != nil {
		return err
	}
	if complete, err := c.measure(ctx, all); err != nil || !complete {
		return err
	}
	return c.write(all)
}

// load reads the runs that there are, or begins a new file. Runs of two
// commits do not mix.
func (c *scaleCmd) load(ctx context.Context) (*scaleRuns, error) {
	measuring := compareCmd{Runs: c.Runs, Duration: c.Duration}
	now := &scaleRuns{Schema: 1, About: measuring.about(ctx)}
	for _, p := range cost.Grid() {
		now.Points = append(now.Points, scalePoint{Point: p})
	}
	text, err := os.ReadFile(c.JSON)
	if errors.Is(err, fs.ErrNotExist) {
		return now, nil
	}
	if err != nil {
		return nil, err
	}
	before := &scaleRuns{}
	if err := json.Unmarshal(text, before); err != nil {
		return nil, fmt.Errorf("%s: %w", c.JSON, err)
	}
	if len(before.Points) != len(now.Points) {
		return nil, fmt.Errorf("%s is of another grid: move it away", c.JSON)
	}
	missing := false
	for i := range before.Points {
		if before.Points[i].Point != now.Points[i].Point {
			return nil, fmt.Errorf("%s is of another grid: move it away", c.JSON)
		}
		missing = missing || len(before.Points[i].Runs) < c.Runs
	}
	if missing && (before.About.Commit != now.About.Commit || before.About.Seconds != now.About.Seconds) {
		return nil, fmt.Errorf("%s was begun at commit %s with runs of %g s: move it away, or go on there",
			c.JSON, before.About.Commit, before.About.Seconds)
	}
	return before, nil
}

// measure runs what is missing, round by round, so that a machine that gets
// slower does so for all points. false: the limit came first.
func (c *scaleCmd) measure(ctx context.Context, all *scaleRuns) (complete bool, err error) {
	start := time.Now()
	work, err := os.MkdirTemp("", "sluice-scale-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(work)
	p := sluice()
	for round := range c.Runs {
		for k := range all.Points {
			// A stride that shares no factor with the number of points puts
			// neighbours of the grid far from each other in time.
			point := &all.Points[k*scaleStride%len(all.Points)]
			if len(point.Runs) > round {
				continue
			}
			if c.Limit > 0 && time.Since(start) > c.Limit {
				fmt.Fprintf(os.Stderr, "scale: the limit of %v is over in round %d, point %d of %d; the same command goes on\n",
					c.Limit, round+1, k+1, len(all.Points))
				return false, nil
			}
			run, err := c.one(ctx, &p, point.Point, work, round)
			if err != nil {
				return false, fmt.Errorf("%s: %w", point.Point, err)
			}
			progress("scale", round, point.String(), "%.0f packets/s, %.3f µs of CPU, %.4f + %.4f calls each, %d → %d MiB",
				run.Rate, run.CPU, run.Reads, run.Writes, run.IdleRSS>>20, run.PeakRSS>>20)
			point.Runs = append(point.Runs, run)
			if err := writeJSON(c.JSON, all); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// scaleStride is prime, and no divisor of the number of points.
const scaleStride = 29

// one measures one run of a point. Lost packets are an error: their cost is not
// that of a packet.
func (c *scaleCmd) one(ctx context.Context, p *peer, at cost.Point, work string, round int) (sample, error) {
	run := compareCmd{Bin: c.Bin, Work: work, Duration: c.Duration, Agents: at.Agents, Size: at.Size, rate: at.Rate,
		ServerFlag: []string{fmt.Sprintf("--workers=%d", at.Loops)}, weights: make([]int, at.Analyzers)}
	for i := range run.weights {
		run.weights[i] = 1
	}
	s, err := run.throughput(ctx, p, round+1)
	if err == nil && (s.Lost > 0 || s.Unsettled != 0) {
		err = fmt.Errorf("%d packets lost, %d unaccounted for", s.Lost, s.Unsettled)
	}
	return s, err
}

// writeJSON replaces a file by one rename, so that one that is cut off leaves
// the last one whole.
func writeJSON(name string, object any) error {
	text, err := json.MarshalIndent(object, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
