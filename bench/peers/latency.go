package main

import (
	"context"
	"fmt"
	"math"

	"sluice/internal/process"
)

// latencySample is one run at a planned rate. Times count from the planned
// moment of sending, in milliseconds.
type latencySample struct {
	Round   int     `json:"round"`
	Rate    float64 `json:"records_per_second"` // reached
	Latency latency `json:"latency_ms"`
	CPU     float64 `json:"cpu_us_per_record"` // of the program in the middle
}

// latencySeries are the runs of one peer at one rate.
type latencySeries struct {
	Name  string          `json:"name"`
	Title string          `json:"title"`
	Load  string          `json:"load"` // for people: "50 % of peak"
	Rate  float64         `json:"planned_records_per_second"`
	Runs  []latencySample `json:"runs"`
	failures
}

// slow is a rate at which nothing has a reason to wait.
const slow = 1000

// latency measures acknowledgement latency of Sluice, and of the relay to the
// same analyzers, under the same open-loop load: packets leave at planned times
// whatever the answers do. Interleaved by load and by peer.
func (c *compareCmd) latency(ctx context.Context, chosen []peer, peak float64) []latencySeries {
	loads := []struct {
		title string
		rate  float64
	}{{"1,000/s", slow}, {"10 % of peak", peak / 10}, {"50 % of peak", peak / 2}, {"90 % of peak", peak * 0.9}}
	var all []latencySeries
	var of []peer
	for _, l := range loads {
		for _, p := range chosen {
			if p.ours || p.name == "haproxy" {
				all = append(all, latencySeries{Name: p.name, Title: p.title, Load: l.title, Rate: math.Round(l.rate)})
				of = append(of, p)
			}
		}
	}
	for round := range c.Runs {
		for k := range all {
			at := latencyTurn(k, round, len(loads), len(all)/len(loads))
			s := &all[at]
			if ctx.Err() != nil {
				return all
			}
			run, err := c.latencyOnce(ctx, &of[at], s.Rate)
			if err != nil {
				s.fail("latency", round, s.Name, err)
				continue
			}
			run.Round = round + 1
			s.Runs = append(s.Runs, run)
			progress("latency", round, s.Name, "%s: %.0f packets/s, p50 %.3f, p99 %.3f ms", s.Load, run.Rate, run.Latency.P50, run.Latency.P99)
		}
	}
	return all
}

// latencyTurn is what is measured as number k of a round: load by load, the
// contestants of one after each other. Each round begins with another load, and
// each load with another contestant.
func latencyTurn(k, round, loads, contestants int) int {
	load, contestant := k/contestants, k%contestants
	return (load+round)%loads*contestants + (contestant+round)%contestants
}

func (c *compareCmd) latencyOnce(ctx context.Context, p *peer, rate float64) (r latencySample, err error) {
	s, err := c.start(ctx, p)
	if err != nil {
		return r, err
	}
	defer s.stop()
	before, err := process.UsageOf(s.middle.PID())
	if err != nil {
		return r, err
	}
	l := load{bin: s.bin, addr: s.addr, proto: "binary", agents: c.Agents, size: c.Size, rate: rate, duration: c.Duration}
	res, err := l.run(ctx)
	if err != nil {
		return r, err
	}
	if res.Failed > 0 {
		return r, fmt.Errorf("%d packets were not delivered: %v", res.Failed, res.Failures)
	}
	after, err := process.UsageOf(s.middle.PID())
	if err != nil {
		return r, err
	}
	cpu := after.CPU - before.CPU
	return latencySample{Rate: res.PacketsPerSecond, Latency: res.Latency,
		CPU: float64(cpu.Microseconds()) / float64(res.Delivered)}, nil
}
