package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"sluice/internal/process"
)

// sample is one run of one peer, as fast as it goes.
type sample struct {
	Round     int      `json:"round"`
	Seconds   float64  `json:"seconds"` // first record to last answer, or last receipt where there are no answers
	Sent      uint64   `json:"sent"`
	Received  uint64   `json:"received"` // by the sinks
	Each      []uint64 `json:"each"`     // sink, in the order of weights
	Rate      float64  `json:"records_per_second"`
	Lost      uint64   `json:"lost"`
	Twice     uint64   `json:"received_twice"`
	CPU       float64  `json:"cpu_us_per_record"`
	Cores     float64  `json:"cores_used"` // by the program in the middle
	AgentsCPU float64  `json:"agents_cpu_us_per_record"`
	SinksCPU  float64  `json:"sinks_cpu_us_per_record"`
	PeakRSS   int64    `json:"peak_rss_bytes"`
	IdleRSS   int64    `json:"idle_rss_bytes"`                 // its peak before the first record
	Reads     float64  `json:"read_calls_per_record"`          // read(2) and readv; a program that uses recv has none
	Writes    float64  `json:"write_calls_per_record"`         // write(2) and writev, not send
	Off       float64  `json:"off_records"`                    // the largest distance of a sink's count from its weight's
	OffShare  float64  `json:"off_percent"`                    // the same in percent of all records
	Spilled   uint64   `json:"spilled_records,omitempty"`      // Sluice: not to the analyzer that was picked, because it was late
	Busy      uint64   `json:"busy_answers,omitempty"`         // to loadgen
	Elsewhere uint64   `json:"redispatched_records,omitempty"` // Sluice: taken back and given to another
	Unsettled int64    `json:"unaccounted_records,omitempty"`  // Sluice's ledger; not 0 is a bug
}

// How long sinks must have been quiet until what they lack is called lost.
const quietLimit = 3 * time.Second

// throughput measures one run.
func (c *compareCmd) throughput(ctx context.Context, p *peer, round int) (sample, error) {
	s, err := c.start(ctx, p)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	before, err := process.UsageOf(s.middle.PID())
	if err != nil {
		return sample{}, err
	}
	sinksBefore, err := s.sinksCPU()
	if err != nil {
		return sample{}, err
	}
	r := sample{Round: round}
	var agents time.Duration
	if p.takes == "" {
		agents, err = c.sendPackets(ctx, s, &r)
	} else {
		agents, err = c.sendDialect(ctx, s, p.takes, &r)
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", p.name, err)
	}
	after, err := process.UsageOf(s.middle.PID())
	if err != nil {
		return r, fmt.Errorf("%s: %w", p.name, s.middle.Ended())
	}
	sinksAfter, err := s.sinksCPU()
	if err != nil {
		return r, err
	}
	r.complete(before, after, s.weights)
	r.AgentsCPU = float64(agents.Microseconds()) / float64(r.Received)
	r.SinksCPU = float64((sinksAfter - sinksBefore).Microseconds()) / float64(r.Received)
	if p.ours {
		err = r.ledger(s.http)
	}
	return r, err
}

// sendPackets is the traffic of Sluice and of the relays. It returns the CPU of
// the agents.
func (c *compareCmd) sendPackets(ctx context.Context, s *stage, r *sample) (time.Duration, error) {
	l := load{bin: s.bin, addr: s.addr, proto: "binary", agents: c.Agents, size: c.Size, rate: c.rate, duration: c.Duration}
	res, err := l.run(ctx)
	if err != nil {
		return 0, err
	}
	r.Seconds, r.Sent, r.Busy = res.Elapsed, res.Sent, res.Busy
	return res.cpu, r.receive(ctx, s)
}

// sendDialect is the traffic of those that take records.
func (c *compareCmd) sendDialect(ctx context.Context, s *stage, d dialect, r *sample) (time.Duration, error) {
	all, cpu, err := sendRecords(ctx, d, s.addr, c.Agents, c.Size, c.Duration)
	if err != nil {
		return 0, err
	}
	r.Sent = all.Records
	if err := r.receive(ctx, s); err != nil {
		return 0, err
	}
	_, last, err := s.sinks.counts()
	r.Seconds = last.Sub(all.Started).Seconds()
	return cpu, err
}

// receive waits until the sinks have everything, or hear no more.
func (r *sample) receive(ctx context.Context, s *stage) error {
	quietSince := time.Now()
	for {
		each, _, err := s.sinks.counts()
		if err != nil {
			return err
		}
		var total uint64
		for _, n := range each {
			total += n
		}
		if total != r.Received {
			quietSince = time.Now()
		}
		r.Each, r.Received = each, total
		if total >= r.Sent || time.Since(quietSince) > quietLimit {
			return s.middle.Ended()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// complete works out what follows from the counts.
func (r *sample) complete(before, after process.Usage, weights []int) {
	cpu := after.CPU - before.CPU
	n := float64(r.Received)
	r.Lost, r.Twice = r.Sent-min(r.Sent, r.Received), r.Received-min(r.Sent, r.Received)
	r.Rate = n / r.Seconds
	r.CPU = float64(cpu.Microseconds()) / n
	r.Cores = cpu.Seconds() / r.Seconds
	r.PeakRSS, r.IdleRSS = after.PeakRSS, before.PeakRSS
	r.Reads, r.Writes = float64(after.Reads-before.Reads)/n, float64(after.Writes-before.Writes)/n
	whole := 0
	for _, w := range weights {
		whole += w
	}
	for i, got := range r.Each {
		r.Off = max(r.Off, math.Abs(float64(got)-n*float64(weights[i])/float64(whole)))
	}
	r.OffShare = 100 * r.Off / n
}

// ledger asks Sluice what it knows of the run itself.
func (r *sample) ledger(http string) error {
	var stats struct {
		Spilled      uint64 `json:"spilled_packets"`
		Redispatched uint64 `json:"redispatched_packets"`
		Unaccounted  int64  `json:"unaccounted_packets"`
	}
	_, err := getJSON("http://"+http+"/stats", &stats)
	r.Spilled, r.Elsewhere, r.Unsettled = stats.Spilled, stats.Redispatched, stats.Unaccounted
	return err
}
