package main

import "fmt"

// verdict is one of the figures that the project promises (promise 5), and what
// was measured.
type verdict struct {
	What     string  `json:"what"`
	Limit    float64 `json:"limit"`
	AtLeast  bool    `json:"at_least"` // false: at most
	Measured float64 `json:"measured"`
	Unit     string  `json:"unit,omitempty"`
	Kept     bool    `json:"kept"`
}

// judge holds what was measured against what is promised. What was not measured
// has no verdict.
func judge(o *outcome) []verdict {
	var all []verdict
	add := func(what string, limit float64, atLeast bool, measured summary, unit string) {
		if measured.N == 0 {
			return
		}
		v := verdict{What: what, Limit: limit, AtLeast: atLeast, Measured: measured.Median, Unit: unit}
		v.Kept = v.Measured <= limit
		if atLeast {
			v.Kept = v.Measured >= limit
		}
		all = append(all, v)
	}
	own, relay := runsOf(o.Throughput, "sluice"), runsOf(o.Throughput, "haproxy")
	add("rate, of HAProxy's relay", 0.7, true, ratio(own, relay, sample.rate), "×")
	add("CPU per packet, of HAProxy's relay", 1.3, false, ratio(own, relay, sample.cpu), "×")
	fastest, cheapest, missing := perRecordPeers(o.Throughput)
	if fastest != nil {
		add("rate, of the fastest that balances records ("+fastest.Name+missing+")", 4, true, ratio(own, fastest.Runs, sample.rate), "×")
		add("CPU per packet, of the cheapest that balances records ("+cheapest.Name+missing+")", 0.25, false, ratio(own, cheapest.Runs, sample.cpu), "×")
	}
	if len(own) > 0 {
		rss := summarize(own, sample.rss)
		rss.Median = rss.Max / (1 << 20)
		add("largest RSS under full load", 96, false, rss, " MiB")
		lost := summarize(own, func(r sample) float64 { return float64(r.Lost) })
		lost.Median = lost.Max
		add("packets lost in any run", 0, false, lost, "")
		off := summarize(own, func(r sample) float64 { return max(0, r.Off-float64(r.Spilled)) })
		off.Median = off.Max
		add("farthest from a weight, in packets, beyond what spilled", 10, false, off, "")
	}
	for _, s := range o.Latency {
		if s.Name == "sluice" && (s.Rate == slow || s.Load == "50 % of peak") {
			add("p99 acknowledgement latency at "+s.Load+", of HAProxy's relay", 2, false, ratio(s.Runs, latencyOf(o.Latency, "haproxy", s.Load), latencySample.p99), "×")
		}
	}
	add("CPU per /ingest request, of an empty fasthttp handler", 1.5, false, ratio(ingestOf(o.Ingest, "sluice"), ingestOf(o.Ingest, "empty"), ingestSample.cpu), "×")
	return all
}

func (v verdict) String() string {
	sign := "≤"
	if v.AtLeast {
		sign = "≥"
	}
	return fmt.Sprintf("%s: %s%s (%s %g)", v.What, figure(v.Measured), v.Unit, sign, v.Limit)
}

func runsOf(all []series, name string) []sample {
	for _, s := range all {
		if s.Name == name {
			return s.Runs
		}
	}
	return nil
}

func latencyOf(all []latencySeries, name, load string) []latencySample {
	for _, s := range all {
		if s.Name == name && s.Load == load {
			return s.Runs
		}
	}
	return nil
}

func ingestOf(all []ingestSeries, name string) []ingestSample {
	for _, s := range all {
		if s.Name == name {
			return s.Runs
		}
	}
	return nil
}

// perRecordPeers finds who else balances records: the fastest and the cheapest.
// missing names those that have no figures, because one of them might be better.
func perRecordPeers(all []series) (fastest, cheapest *series, missing string) {
	for i := range all {
		s := &all[i]
		switch {
		case !s.PerRecord || s.Name == "sluice" || s.Name == "baseline":
			continue
		case len(s.Runs) == 0:
			missing += "; " + s.Name + " was not measured"
			continue
		}
		if fastest == nil || summarize(s.Runs, sample.rate).Median > summarize(fastest.Runs, sample.rate).Median {
			fastest = s
		}
		if cheapest == nil || summarize(s.Runs, sample.cpu).Median < summarize(cheapest.Runs, sample.cpu).Median {
			cheapest = s
		}
	}
	return fastest, cheapest, missing
}
