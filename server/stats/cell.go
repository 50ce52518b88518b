// Package stats turns what the loops count into what people and programs read:
// one consistent sum over all loops, the ledger, and the JSON of /stats and
// /health. It knows no HTTP and no clock.
package stats

import (
	"sync"

	"sluice/server/dispatch"
)

// Source is who can write its counters into dst, reusing its memory; a
// dispatch.Core is one. Owned by one loop.
type Source interface {
	Snapshot(dst *dispatch.Counters)
}

// Cell holds the last counters that a loop has published, whole: a reader sees
// the ledger of one end of a turn, where it balances, and never half of two.
//
// The obvious ways are a counter that is atomic each, which no two reads see
// at one moment, and a lock, at which the loop would wait for whoever reads
// /stats. Here the loop only tries the lock. If a reader is just copying, it
// goes on and publishes after its next turn or tick instead; the reader keeps
// what is a few milliseconds old, which it could not tell anyway.
//
// The zero value is ready and reads as all zero. It must not be copied.
// Safe for concurrent use.
type Cell struct {
	mu   sync.Mutex
	last dispatch.Counters
}

// Publish takes the counters of src, and reports whether it did: false means
// that a reader was in the way and nothing changed. It never waits, and does
// not allocate once it has seen the number of analyzers.
func (c *Cell) Publish(src Source) bool {
	if !c.mu.TryLock() {
		return false
	}
	src.Snapshot(&c.last)
	c.mu.Unlock()
	return true
}

// AddTo adds the last published counters to sum, whose list of analyzers grows
// as needed. Adding the cells of all loops gives the distributor's counters.
func (c *Cell) AddTo(sum *dispatch.Counters) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add(sum, &c.last)
}

func add(sum, n *dispatch.Counters) {
	sum.Received += n.Received
	sum.ReceivedMessages += n.ReceivedMessages
	sum.ReceivedBytes += n.ReceivedBytes
	sum.Delivered += n.Delivered
	for i, r := range n.Rejected {
		sum.Rejected[i] += r
	}
	sum.Redispatched += n.Redispatched
	sum.Spilled += n.Spilled
	sum.DeadLettered += n.DeadLettered
	sum.Abandoned += n.Abandoned
	sum.Queued += n.Queued
	sum.InFlight += n.InFlight
	sum.Sessions += n.Sessions
	sum.HungUp += n.HungUp
	sum.LateAnswers += n.LateAnswers
	sum.FalseAcks += n.FalseAcks
	for len(sum.Analyzers) < len(n.Analyzers) {
		sum.Analyzers = append(sum.Analyzers, dispatch.AnalyzerCounters{})
	}
	for i := range n.Analyzers {
		to, from := &sum.Analyzers[i], &n.Analyzers[i]
		to.Picked += from.Picked
		to.Dispatched += from.Dispatched
		to.Delivered += from.Delivered
		to.InFlight += from.InFlight
		to.Redispatched += from.Redispatched
		to.Links += from.Links
		to.Latency.Add(&from.Latency)
	}
}
