package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// notWorse is how much of a ratio to the baseline is still called "not worse".
const notWorse = 1.03

// minRounds is the smallest number of rounds whose extremes enclose the median
// with 95 % probability: 1 − 2 × ½⁶ = 0.97.
const minRounds = 6

// comparison is a figure of the new Sluice held against that of the baseline:
// the median of the ratios within a round, and its interval. A ratio above 1 is
// worse, whatever the figure is.
type comparison struct {
	What     string     `json:"what"`
	Median   float64    `json:"median_ratio"`
	Low      float64    `json:"low_95"`
	High     upperBound `json:"high_95"`
	Coverage float64    `json:"coverage"` // of the interval; at least 0.95
	Rounds   int        `json:"rounds"`
	Limit    float64    `json:"limit,omitempty"` // of High; 0: shown, not judged
	Ratios   []float64  `json:"ratios"`          // in the order of the rounds
}

// upperBound is the end of an interval, +Inf if there is none. JSON knows no infinity.
type upperBound float64

func (b upperBound) MarshalJSON() ([]byte, error) {
	if math.IsInf(float64(b), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(b))
}

// compareWithBaseline holds every figure that both have against the other.
func compareWithBaseline(o *outcome) (all []comparison) {
	add := func(what string, limit float64, ratios []float64) {
		if len(ratios) > 0 {
			all = append(all, newComparison(what, limit, ratios))
		}
	}
	now, before := runsOf(o.Throughput, "sluice"), runsOf(o.Throughput, "baseline")
	add("CPU per packet, new/old", notWorse, ratios(now, before, sample.cpu))
	add("rate, old/new", notWorse, ratios(before, now, sample.rate))
	add("peak RSS, new/old", 0, ratios(now, before, sample.rss))
	for _, s := range o.Latency {
		if s.Name != "sluice" {
			continue
		}
		before := latencyOf(o.Latency, "baseline", s.Load)
		limit := notWorse
		if s.Rate <= slow {
			limit = 0 // a run takes a few ticks of CPU
		}
		add("CPU per packet at "+s.Load+", new/old", limit, ratios(s.Runs, before, latencySample.cpu))
		add("p99 latency at "+s.Load+", new/old", 0, ratios(s.Runs, before, latencySample.p99))
	}
	requests, requestsBefore := ingestOf(o.Ingest, "sluice"), ingestOf(o.Ingest, "baseline")
	add("CPU per /ingest request, new/old", notWorse, ratios(requests, requestsBefore, ingestSample.cpu))
	add("/ingest rate, old/new", notWorse, ratios(requestsBefore, requests, ingestSample.rate))
	return all
}

func newComparison(what string, limit float64, ratios []float64) comparison {
	c := comparison{What: what, Limit: limit, Rounds: len(ratios), Ratios: ratios, Median: summarizeValues(ratios).Median}
	low, high, coverage := medianInterval(ratios)
	c.Low, c.High, c.Coverage = low, upperBound(high), coverage
	return c
}

// medianInterval is the narrowest interval between two values, as far from the
// smallest as from the largest, that holds the median of the distribution with
// at least 95 % probability. With too few values for that, it has no bounds.
//
// How many of n values lie below the median is binomial with p = ½, whatever
// the distribution is. So nothing is assumed about what a busy neighbour does
// to a round, and a round that it spoiled counts as one round, however far off
// it is. A bootstrap of the median claims more than 15 values know.
func medianInterval(values []float64) (low, high, coverage float64) {
	n := len(values)
	sorted := slices.Sorted(slices.Values(values))
	// below is the probability that at most k values lie below the median.
	choose, below := 1.0, 0.0
	low, high, coverage = 0, math.Inf(1), 1
	for k := range n / 2 {
		below += choose / math.Exp2(float64(n))
		choose = choose * float64(n-k) / float64(k+1)
		if 1-2*below < 0.95 {
			break
		}
		low, high, coverage = sorted[k], sorted[n-1-k], 1-2*below
	}
	return low, high, coverage
}

// verdict is "not worse", "worse", or "undecided" if the limit lies within the
// interval: then more rounds may tell.
func (c comparison) verdict() string {
	switch {
	case c.Limit == 0:
		return "–"
	case float64(c.High) <= c.Limit:
		return "not worse"
	case c.Low > c.Limit:
		return "worse"
	}
	return "undecided"
}

func (c comparison) String() string {
	return fmt.Sprintf("%-10s %s: %.3f (%.3f–%.3f), %d rounds", c.verdict(), c.What, c.Median, c.Low, c.High, c.Rounds)
}

// worse is an error if anything was not shown to be no worse.
func worse(all []comparison) error {
	var bad []string
	for _, c := range all {
		if v := c.verdict(); v == "worse" || v == "undecided" {
			bad = append(bad, c.What+": "+v)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return errors.New("not shown to be no worse than the baseline: " + strings.Join(bad, "; "))
}

func baselineTable(out *strings.Builder, all []comparison) {
	fmt.Fprintf(out, "\n### New and old\n\nMedian of the ratios within a round, with the interval of order statistics that holds it with at least 95 %% probability. Above 1 is worse. *Not worse*: the whole interval is at most %g; *undecided*: more rounds may tell.\n\n", notWorse)
	fmt.Fprint(out, "| | median ratio | 95 % interval | rounds | |\n|---|---:|---:|---:|---|\n")
	for _, c := range all {
		fmt.Fprintf(out, "| %s | %.3f | %.3f–%.3f | %d | %s |\n", c.What, c.Median, c.Low, c.High, c.Rounds, c.verdict())
	}
}
