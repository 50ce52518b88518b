package main

import (
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// Latencies are kept in microseconds with three significant digits, up to
	// ten minutes; longer ones count as ten minutes.
	maxLatency    = 10 * time.Minute
	latencyDigits = 3

	// pendingSamples is how many measured packets of one connection may be on
	// their way; more are sent without being measured.
	pendingSamples = 1 << 14

	// Above measureAll packets, one in 64 is measured: reading the
	// clock for each packet would cost as much as sending it.
	measureAll  = 200_000
	sampleShift = 6 // one in 64
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxLatency.Microseconds(), latencyDigits)
}

// sampler measures some of a connection's packets. begin is called by the
// sender, end by whoever is told the outcomes; one goroutine each.
type sampler struct {
	shift uint // a packet is measured if so many low bits of its tag are 0
	base  time.Time
	slots []sample
	hist  *hdrhistogram.Histogram
}

type sample struct {
	busy  atomic.Bool // true: tag and start belong to the packet on its way
	tag   uint64
	start time.Duration // since base
}

// newSampler measures every packet of a run that is small or slow enough.
func newSampler(o *options, p *plan) *sampler {
	s := &sampler{shift: sampleShift, base: time.Now(), hist: newHistogram(), slots: make([]sample, pendingSamples)}
	if p.total > 0 && p.total <= measureAll || o.Rate > 0 && o.Rate <= measureAll {
		s.shift = 0
	}
	return s
}

// measures says whether the packet with this tag is one to begin.
func (s *sampler) measures(tag uint64) bool { return tag&(1<<s.shift-1) == 0 }

// begin notes when a packet was handed over, or should have been.
func (s *sampler) begin(tag uint64, at time.Time) {
	slot := &s.slots[tag>>s.shift%pendingSamples]
	if slot.busy.Load() {
		return // an older packet has no outcome yet
	}
	slot.tag, slot.start = tag, at.Sub(s.base)
	slot.busy.Store(true)
}

// end records the outcome of a delivered packet, and forgets another's.
func (s *sampler) end(tag uint64, delivered bool) {
	slot := &s.slots[tag>>s.shift%pendingSamples]
	if !slot.busy.Load() || slot.tag != tag {
		return
	}
	took := time.Since(s.base) - slot.start
	slot.busy.Store(false)
	if delivered {
		s.record(took)
	}
}

func (s *sampler) record(took time.Duration) {
	// A value in range cannot fail.
	_ = s.hist.RecordValue(min(max(took, time.Microsecond), maxLatency).Microseconds())
}
