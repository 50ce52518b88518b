// Package health decides which analyzers are up and with how much of their
// weight, and turns that into the route table. It opens nothing, starts no
// goroutine and reads only the clock that it is given.
//
// To be read in this order: state.go (what is said of an analyzer), monitor.go
// and events.go (what comes in), target.go (what follows from it), ramp.go
// (slow start), table.go (what goes out).
package health

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sluice/server/route"
)

// Config is what a Monitor needs. Names and Weights are by analyzer, equally
// long, and are copied. Immutable.
type Config struct {
	Names     []string
	Weights   []float64          // as configured: finite, zero or more
	Loops     int                // one or more
	SlowStart time.Duration      // from a tenth of the weight to all of it; 0: at once
	Now       func() time.Time   // nil: time.Now
	Publish   func(*route.Table) // gets each new table, in order. Called with the monitor's lock held: it must be quick and not call back
	Log       *slog.Logger
}

// Monitor hears of links, checks and dials, and publishes a table of effective
// weights whenever they change.
//
// An analyzer takes packets when every loop has a link to it that carries
// data, so that the exact sequence never names a link that cannot take its
// packet; it is out of the table as soon as one loop has lost its link. At
// first contact it has its full weight. After a loss it has to prove itself:
// on every loop Checks good checks, and then slow start. All that is caution
// for the benefit of others: where nobody else has any weight there is nothing
// to be cautious for, and it has its full weight at once.
//
// Every event, and every Tick, runs the same four steps (settle): each
// analyzer's phase moves as far as its links allow, the table is kept from
// being empty, states are told, the table is published. So there is no order
// of events that one of them could miss.
//
// Safe for concurrent use.
type Monitor struct {
	mu        sync.Mutex
	targets   []target
	loops     int
	slowStart time.Duration
	now       func() time.Time
	log       *slog.Logger
	silent    bool      // the distributor is stopping
	steppedAt time.Time // when ramps last moved
	table     table
}

// New makes a monitor with all analyzers down. Nothing is published before the
// first of them is up.
func New(cfg Config) *Monitor {
	m := &Monitor{loops: cfg.Loops, slowStart: cfg.SlowStart, now: cfg.Now, log: cfg.Log, targets: make([]target, len(cfg.Names)),
		table: newTable(len(cfg.Names), cfg.Publish)}
	if m.now == nil {
		m.now = time.Now
	}
	now := m.now()
	for i := range m.targets {
		m.targets[i] = newTarget(cfg.Names[i], cfg.Weights[i], make([]link, cfg.Loops), now)
	}
	return m
}

// Tick brings about what time brings about. To be called every TickEvery, or
// about: ramps go by the clock, not by the number of ticks.
func (m *Monitor) Tick() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if now.Sub(m.steppedAt) >= TickEvery {
		m.steppedAt = now
		for i := range m.targets {
			if t := &m.targets[i]; t.phase == ramping {
				t.ramp.advance(now, t.state != Suspect)
			}
		}
	}
	m.settle(now)
}

// Silence stops the logging of transitions: the distributor closes its own
// links.
func (m *Monitor) Silence() {
	m.mu.Lock()
	m.silent = true
	m.mu.Unlock()
}

// Status returns the status of every analyzer, in the order of Names. The
// slice is the caller's.
func (m *Monitor) Status() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Status, len(m.targets))
	for i := range m.targets {
		t := &m.targets[i]
		all[i] = Status{State: t.state, Since: t.since, Reason: t.reason(), LastError: t.lastError,
			Transitions: t.transitions, Failures: t.failures, EffectiveWeight: t.effective(), Left: t.left}
	}
	return all
}

func (m *Monitor) settle(now time.Time) {
	for i := range m.targets {
		m.targets[i].advance(now, m.slowStart)
	}
	m.promote()
	for i := range m.targets {
		t := &m.targets[i]
		if s := t.verdict(now); s != t.state {
			t.enter(s, now)
			m.tell(t)
		}
	}
	if err := m.table.update(m.targets); err != nil {
		m.log.Error("no route table", "error", err)
	}
}

// promote gives full weight to whoever has no others to take packets in its
// stead: to the only one that has any weight, or, where none has, to all that
// are ready.
func (m *Monitor) promote() {
	var only *target
	for i := range m.targets {
		if t := &m.targets[i]; t.effective() > 0 {
			if only != nil {
				return
			}
			only = t
		}
	}
	const why = "at full weight at once, no other analyzer takes packets"
	if only != nil {
		if only.phase != serving {
			only.serve(why)
		}
		return
	}
	for i := range m.targets {
		if t := &m.targets[i]; t.weight > 0 && t.whole() {
			t.serve(why)
		}
	}
}

// tell logs a transition.
func (m *Monitor) tell(t *target) {
	if m.silent || t.left {
		return
	}
	level := slog.LevelInfo
	if t.state == Suspect || t.state == Down {
		level = slog.LevelWarn
	}
	args := []any{"analyzer", t.name, "reason", t.reason()}
	if t.untold > 0 {
		args = append(args, "suppressed", t.untold)
		t.untold = 0
	}
	m.log.Log(context.Background(), level, "analyzer is "+string(t.state), args...)
}
