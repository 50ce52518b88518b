package main

import "slices"

// summary is the middle of some runs and how far they spread.
type summary struct {
	Median, Min, Max float64
	N                int
}

// What is told of a sample.
func (r sample) rate() float64     { return r.Rate }
func (r sample) cpu() float64      { return r.CPU }
func (r sample) rss() float64      { return float64(r.PeakRSS) }
func (r sample) calls() float64    { return r.Reads + r.Writes }
func (r sample) off() float64      { return r.Off }
func (r sample) offShare() float64 { return r.OffShare }

func (r latencySample) cpu() float64 { return r.CPU }
func (r latencySample) p99() float64 { return r.Latency.P99 }
func (r ingestSample) cpu() float64  { return r.CPU }
func (r ingestSample) rate() float64 { return r.Rate }
func (r sample) round() int          { return r.Round }
func (r latencySample) round() int   { return r.Round }
func (r ingestSample) round() int    { return r.Round }

// summarize takes one figure of each run.
func summarize[R any](runs []R, of func(R) float64) summary {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = of(r)
	}
	return summarizeValues(values)
}

func summarizeValues(values []float64) summary {
	if len(values) == 0 {
		return summary{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	median := sorted[n/2]
	if n%2 == 0 {
		median = (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return summary{Median: median, Min: sorted[0], Max: sorted[n-1], N: n}
}

// ratio compares two series round by round, so that what the machine did in a
// round is in both of its figures.
func ratio[R interface{ round() int }](a, b []R, of func(R) float64) summary {
	return summarizeValues(ratios(a, b, of))
}

// ratios are those of the rounds that both series have.
func ratios[R interface{ round() int }](a, b []R, of func(R) float64) (values []float64) {
	for _, x := range a {
		for _, y := range b {
			if x.round() == y.round() && of(y) > 0 {
				values = append(values, of(x)/of(y))
			}
		}
	}
	return values
}
