// Package health decides which analyzers are up, and turns that into the
// route table.
package health

import (
	"log/slog"
	"sync"
	"time"

	"sluice/server/route"
)

// State of an analyzer. The failure matrix adds suspect, recovering, draining.
type State string

// The states.
const (
	Up   State = "up"   // every loop has a link that carries data
	Down State = "down" // some loop has none
)

// Status is what is known of one analyzer.
type Status struct {
	State       State
	Since       time.Time
	LastError   string
	Transitions int
}

// Monitor hears of links and dials and publishes the table. An analyzer is up
// when every loop has a link to it that carries data (an ANALYZER's WELCOME
// was read), so that the exact sequence never names a link that cannot take
// its packet; it is down as soon as one loop has lost its link.
//
// Safe for concurrent use.
type Monitor struct {
	mu      sync.Mutex
	names   []string
	weights []float64
	ready   [][]bool // by analyzer, loop
	status  []Status
	publish func(*route.Table)
	log     *slog.Logger
	silent  bool // the distributor is stopping
}

// New makes a monitor with all analyzers down. publish gets each new table.
func New(names []string, weights []float64, loops int, publish func(*route.Table), log *slog.Logger) *Monitor {
	m := &Monitor{names: names, weights: weights, publish: publish, log: log,
		status: make([]Status, len(names)), ready: make([][]bool, len(names))}
	now := time.Now()
	for i := range m.status {
		m.status[i] = Status{State: Down, Since: now}
		m.ready[i] = make([]bool, loops)
	}
	return m
}

// LinkReady tells that a loop's link to an analyzer carries data.
func (m *Monitor) LinkReady(loop, analyzer int) { m.set(loop, analyzer, true, "") }

// LinkLost tells that a loop's link to an analyzer carries data no more.
func (m *Monitor) LinkLost(loop, analyzer int, reason string) { m.set(loop, analyzer, false, reason) }

// Failed tells that an analyzer could not be reached.
func (m *Monitor) Failed(analyzer int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.status[analyzer].LastError != err.Error() && !m.silent {
		m.log.Warn("analyzer not reachable", "analyzer", m.names[analyzer], "error", err)
	}
	m.status[analyzer].LastError = err.Error()
}

// Silence stops logging of transitions: the distributor closes its own links.
func (m *Monitor) Silence() {
	m.mu.Lock()
	m.silent = true
	m.mu.Unlock()
}

func (m *Monitor) set(loop, analyzer int, ready bool, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready[analyzer][loop] = ready
	if reason != "" {
		m.status[analyzer].LastError = reason
	}
	state := Up
	for _, r := range m.ready[analyzer] {
		if !r {
			state = Down
		}
	}
	st := &m.status[analyzer]
	if st.State == state {
		return
	}
	st.State, st.Since = state, time.Now()
	st.Transitions++
	if !m.silent {
		if state == Up {
			m.log.Info("analyzer is up", "analyzer", m.names[analyzer])
		} else {
			m.log.Warn("analyzer is down", "analyzer", m.names[analyzer], "reason", reason)
		}
	}
	m.publishTable()
}

// publishTable builds the table of the effective weights.
func (m *Monitor) publishTable() {
	effective := make([]float64, len(m.weights))
	for i, w := range m.weights {
		if m.status[i].State == Up {
			effective[i] = w
		}
	}
	t, err := route.NewTable(effective)
	if err != nil { // the configured weights were valid, so their subset is
		m.log.Error("no route table", "error", err)
		return
	}
	m.publish(t)
}

// Status returns the status of every analyzer.
func (m *Monitor) Status() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Status(nil), m.status...)
}
