package sim

import (
	"errors"
	"time"

	"sluice/server/dispatch"
)

// As in server/pool.
const (
	firstPause  = 100 * time.Millisecond
	longPause   = 5 * time.Second
	steadyAfter = 2 * time.Second
)

// line keeps one loop connected to one analyzer, as server/pool does. Owned by
// the world.
type line struct {
	d              *distributor
	loop, analyzer int
	pause          time.Duration
	readyAt        time.Duration // 0: it carries no data
	unwanted       bool          // the analyzer has left
	resting        bool          // nobody is dialled
}

func (ln *line) dial() {
	d := ln.d
	if ln.resting = ln.unwanted; ln.resting {
		return
	}
	d.w.dial(&d.process, &d.w.analyzers[ln.analyzer].process, func(e *end, failure string) {
		if e == nil {
			if !ln.unwanted {
				d.health.Failed(ln.analyzer, errors.New(failure))
			}
			ln.again()
			return
		}
		l := d.loops[ln.loop]
		l.addLink(ln.analyzer, e)
		if ln.unwanted {
			l.retire(ln.analyzer)
		}
	})
}

func (ln *line) again() {
	ln.d.after(ln.pause/2+ln.d.w.upTo(ln.pause), ln.dial)
	ln.pause = min(2*ln.pause, longPause)
}

func (ln *line) ready() { ln.readyAt = ln.d.w.now }

func (ln *line) lost() {
	if ln.readyAt != 0 && ln.d.w.now-ln.readyAt >= steadyAfter {
		ln.pause = firstPause
	}
	ln.readyAt = 0
	ln.again()
}

// coreTotals sums what cores counted over all lives. Immutable.
type coreTotals struct {
	Received, Delivered, Rejected, Redispatched, Spilled, DeadLettered, Abandoned, HungUp, LateAnswers, FalseAcks, Replayed uint64
}

// add sums the counters of a distributor's present life.
func (t *coreTotals) add(d *distributor) {
	var n dispatch.Counters
	for _, l := range d.loops {
		l.pump.Snapshot(&n)
		t.Received += n.Received
		t.Delivered += n.Delivered
		for _, r := range n.Rejected {
			t.Rejected += r
		}
		t.Redispatched += n.Redispatched
		t.Spilled += n.Spilled
		t.DeadLettered += n.DeadLettered
		t.Abandoned += n.Abandoned
		t.HungUp += n.HungUp
		t.LateAnswers += n.LateAnswers
		t.FalseAcks += n.FalseAcks
	}
	t.Replayed += uint64(d.letters.replayed)
	d.letters.replayed = 0
}

func (t *coreTotals) sum(o *coreTotals) {
	t.Received += o.Received
	t.Delivered += o.Delivered
	t.Rejected += o.Rejected
	t.Redispatched += o.Redispatched
	t.Spilled += o.Spilled
	t.DeadLettered += o.DeadLettered
	t.Abandoned += o.Abandoned
	t.HungUp += o.HungUp
	t.LateAnswers += o.LateAnswers
	t.FalseAcks += o.FalseAcks
	t.Replayed += o.Replayed
}

// totals sums all distributors, over all their lives.
func (w *World) totals() coreTotals {
	var t coreTotals
	for _, d := range w.distributors {
		one := d.past
		if d.up {
			one.add(d)
		}
		t.sum(&one)
	}
	return t
}
