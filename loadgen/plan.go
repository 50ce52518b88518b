package main

import (
	"context"
	"sync/atomic"
	"time"
)

// plan says which packets are still to be sent, and when. Packets are numbered
// over all connections, so that the lines of --from are each sent once,
// whichever connection is faster. Safe for concurrent use.
type plan struct {
	next     atomic.Uint64
	total    uint64  // 0: only the time ends it
	interval float64 // nanoseconds between two packets of one connection; 0: no rate
	conns    int
	start    time.Time
}

// shortestSleep keeps high rates from waking up for each packet; what comes due
// meanwhile goes out together.
const shortestSleep = 100 * time.Microsecond

// newPlan starts now.
func newPlan(o *options, b *bodies) *plan {
	p := &plan{total: o.Packets, conns: o.Connections, start: time.Now()}
	if p.total == 0 && o.Duration == 0 {
		p.total = 2000
		if len(o.From) > 0 {
			p.total = uint64(len(b.list))
		}
	}
	if o.Rate > 0 {
		p.interval = float64(o.Connections) / o.Rate * float64(time.Second)
	}
	return p
}

// claim takes up to n packets off what is left to send: first, first+1 … . With
// none, all are taken.
func (p *plan) claim(n int) (first uint64, taken int) {
	for {
		first := p.next.Load()
		k := uint64(n)
		if p.total > 0 {
			k = min(k, p.total-first)
		}
		if k == 0 || p.next.CompareAndSwap(first, first+k) {
			return first, int(k)
		}
	}
}

// due is when the n-th packet of a connection is to be sent. The connections
// are offset, so that together they send evenly.
func (p *plan) due(conn int, n uint64) time.Time {
	return p.start.Add(time.Duration((float64(n) + float64(conn)/float64(p.conns)) * p.interval))
}

// ready returns how many packets of a connection that has sent n are due, after
// waiting for at least one. 0 means that ctx has ended.
func (p *plan) ready(ctx context.Context, conn int, n uint64) int {
	for {
		wait := time.Until(p.due(conn, n))
		if wait <= 0 {
			return 1 + int(min(float64(-wait)/p.interval, 1<<20))
		}
		t := time.NewTimer(max(wait, shortestSleep))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return 0
		}
	}
}
