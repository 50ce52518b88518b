package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"sluice/internal/process"
)

// ingestSample is one run of JSON requests with one message each.
type ingestSample struct {
	Round    int     `json:"round"`
	Requests uint64  `json:"requests"`
	Rate     float64 `json:"requests_per_second"`
	CPU      float64 `json:"cpu_us_per_request"` // of the server
	P99      float64 `json:"p99_ms"`
}

// ingestSeries are the runs of one server.
type ingestSeries struct {
	Name  string         `json:"name"`
	Title string         `json:"title"`
	Runs  []ingestSample `json:"runs"`
	failures
}

// ingest measures POST /ingest of every Sluice that was chosen and of the empty
// handler, interleaved. The same loadgen asks all: each connection waits for its
// answer before the next request. Sluice's part holds all that a packet costs
// it, the way to the analyzer and its ACK included.
func (c *compareCmd) ingest(ctx context.Context, chosen []peer) []ingestSeries {
	var all []ingestSeries
	var of []*peer // nil: the empty handler
	for i := range chosen {
		if p := &chosen[i]; p.ours {
			all, of = append(all, ingestSeries{Name: p.name, Title: p.title + ", /ingest"}), append(of, p)
		}
	}
	if c.Baseline == "" {
		all, of = append(all, ingestSeries{Name: "empty", Title: "empty fasthttp handler"}), append(of, nil)
	}
	for round := range c.Runs {
		for k := range all {
			at := (k + round) % len(all)
			s := &all[at]
			if ctx.Err() != nil {
				return all
			}
			run, err := c.ingestOnce(ctx, of[at])
			if err != nil {
				s.fail("ingest", round, s.Name, err)
				continue
			}
			run.Round = round + 1
			s.Runs = append(s.Runs, run)
			progress("ingest", round, s.Name, "%.0f requests/s, %.2f µs of CPU each", run.Rate, run.CPU)
		}
	}
	return all
}

// ingestOnce measures a Sluice, or the empty handler if p is nil.
func (c *compareCmd) ingestOnce(ctx context.Context, p *peer) (r ingestSample, err error) {
	var s *stage
	if p != nil {
		s, err = c.start(ctx, p)
	} else {
		s, err = c.startEmpty(ctx)
	}
	if err != nil {
		return r, err
	}
	defer s.stop()
	before, err := process.UsageOf(s.middle.PID())
	if err != nil {
		return r, err
	}
	l := load{bin: s.bin, addr: s.http, proto: "http", agents: c.Agents, duration: c.Duration}
	res, err := l.run(ctx)
	if err != nil {
		return r, err
	}
	if res.Failed > 0 || res.Busy > 0 {
		return r, fmt.Errorf("%d requests failed, %d were refused: %v", res.Failed, res.Busy, res.Failures)
	}
	after, err := process.UsageOf(s.middle.PID())
	if err != nil {
		return r, errors.Join(err, s.middle.Ended())
	}
	cpu := after.CPU - before.CPU
	return ingestSample{Requests: res.Delivered, Rate: res.PacketsPerSecond,
		CPU: float64(cpu.Microseconds()) / float64(res.Delivered), P99: res.Latency.P99}, nil
}

// startEmpty starts this program as emptyHTTPCmd.
func (c *compareCmd) startEmpty(ctx context.Context) (*stage, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &stage{setting: setting{bin: c.Bin}}
	if s.dir, err = os.MkdirTemp(c.Work, "empty-"); err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(1)
	if err != nil {
		return nil, err
	}
	s.http = addrs[0]
	if s.middle, err = s.processes.Start(s.dir, "empty-http", exec.Command(self, "empty-http", "--addr", s.http)); err != nil {
		return nil, err
	}
	if err := await(ctx, s.middle, func() bool { return listens(s.http) }); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}
