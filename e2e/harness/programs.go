package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"sluice/e2e/oracle"
	"sluice/e2e/relay"
	"sluice/internal/process"
)

// Analyzer is one analyzer of a system, over its restarts. Owned by the
// scenario's goroutine.
type Analyzer struct {
	Name     string
	Index    int // in the distributors' configuration
	Weight   float64
	Relay    *relay.Relay // what stands before it; nil: nothing
	Fake     *Fake        // instead of a process; nil: none
	Receipts string
	Output   string // empty: none

	addr, http string
	lab        *Lab
	dir        string
	args       []string
	proc       *process.Process
}

// Start runs it, again after it was killed.
func (a *Analyzer) Start() (err error) {
	args := append([]string{"--name", a.Name, "--listen", a.addr, "--http", a.http, "--receipts", a.Receipts}, a.args...)
	if a.Output != "" {
		args = append(args, "--output", a.Output)
	}
	a.proc, err = process.Start(a.dir, a.Name, process.Isolated(a.dir, a.lab.analyzer, args, nil))
	return err
}

// Kill ends it with SIGKILL.
func (a *Analyzer) Kill() { a.proc.Kill() }

// Freeze stops it with SIGSTOP; Thaw lets it go on.
func (a *Analyzer) Freeze() { a.proc.Signal(syscall.SIGSTOP) }

// Thaw continues it.
func (a *Analyzer) Thaw() { a.proc.Signal(syscall.SIGCONT) }

// Delivered counts the packets in its receipts, by the file's size.
func (a *Analyzer) Delivered() int {
	st, err := os.Stat(a.Receipts)
	if err != nil {
		return 0
	}
	return int(st.Size()) / (oracle.IDSize + 1)
}

// Stats is what the harness reads of GET /stats. Counts that went below zero
// would not fit the types, and are an error.
type Stats struct {
	Received, Delivered, Queued, InFlight uint64
	Redispatched, Spilled, Abandoned      uint64
	DeadLettered, Sessions, HungUp        uint64
	LateAnswers, FalseAcks                uint64
	Unaccounted                           int64
	Rejected                              map[string]uint64
	Connections                           ConnectionStats
	HTTP                                  HTTPStats
	Analyzers                             []AnalyzerStats
	ConfigGeneration                      uint64
	ConfigLastError                       string
}

// ConnectionStats is what became of agents' connections.
type ConnectionStats struct {
	Open         int               `json:"open"`
	Accepted     uint64            `json:"accepted"`
	Refused      map[string]uint64 `json:"refused"`
	AcceptErrors map[string]uint64 `json:"accept_errors"`
}

// HTTPStats is what became of HTTP requests.
type HTTPStats struct {
	Requests uint64            `json:"requests"`
	Refused  map[string]uint64 `json:"refused"`
}

// AnalyzerStats is one analyzer's part of Stats.
type AnalyzerStats struct {
	Name            string   `json:"name"`
	State           string   `json:"state"`
	Reason          string   `json:"reason"`
	Transitions     *int     `json:"transitions"` // nil: this version does not count them
	EffectiveWeight *float64 `json:"effective_weight"`
	Delivered       uint64   `json:"delivered_packets"`
	InFlight        uint64   `json:"in_flight_packets"`
	Redispatched    uint64   `json:"redispatched_packets"`
	LastError       string   `json:"last_error"`
}

// UnmarshalJSON spells out the names, which are longer than what is read here.
func (s *Stats) UnmarshalJSON(text []byte) error {
	var in struct {
		Received     uint64            `json:"received_packets"`
		Delivered    uint64            `json:"delivered_packets"`
		Rejected     map[string]uint64 `json:"rejected_packets"`
		Redispatched uint64            `json:"redispatched_packets"`
		Spilled      uint64            `json:"spilled_packets"`
		DeadLettered uint64            `json:"dead_lettered_packets"`
		Abandoned    uint64            `json:"abandoned_packets"`
		Queued       uint64            `json:"queued_packets"`
		InFlight     uint64            `json:"in_flight_packets"`
		Unaccounted  int64             `json:"unaccounted_packets"`
		Sessions     uint64            `json:"sessions"`
		HungUp       uint64            `json:"hung_up_sessions"`
		LateAnswers  uint64            `json:"late_answers"`
		FalseAcks    uint64            `json:"false_acks"`
		Connections  ConnectionStats   `json:"connections"`
		HTTP         HTTPStats         `json:"http"`
		Analyzers    []AnalyzerStats   `json:"analyzers"`
		Generation   uint64            `json:"config_generation"`
		ConfigError  string            `json:"config_last_error"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*s = Stats{Received: in.Received, Delivered: in.Delivered, Queued: in.Queued, InFlight: in.InFlight,
		Redispatched: in.Redispatched, Spilled: in.Spilled, Abandoned: in.Abandoned, DeadLettered: in.DeadLettered,
		Sessions: in.Sessions, HungUp: in.HungUp, LateAnswers: in.LateAnswers, FalseAcks: in.FalseAcks,
		Unaccounted: in.Unaccounted, Rejected: in.Rejected,
		Connections: in.Connections, HTTP: in.HTTP, Analyzers: in.Analyzers,
		ConfigGeneration: in.Generation, ConfigLastError: in.ConfigError}
	return nil
}

// FailedHandOvers counts written packets that were taken back from analyzers.
// Each may have been delivered there too, so it is what duplicates are bounded
// by: a packet is handed over again only after a failed hand-over.
func (s *Stats) FailedHandOvers() (n int) {
	for _, a := range s.Analyzers {
		n += int(a.Redispatched)
	}
	return n
}

// Distributor is one distributor of a system, over its restarts. A goroutine
// watches its /stats all the time.
type Distributor struct {
	Name        string
	Addr        string // for agents
	HTTP        string
	DeadLetters string

	lab  *Lab
	dir  string
	env  []string
	file string // of its configuration; empty: none
	by   string // shell command that confines it; empty: none
	proc *process.Process
	web  *http.Client

	mu          sync.Mutex
	last        Stats // of this life
	failed      int   // hand-overs of earlier lives: those seen, and all that could yet fail when last seen
	unaccounted int64 // the worst that was seen
	stopWatch   func()
}

// Start runs it, again after it ended.
func (d *Distributor) Start() (err error) {
	if d.stopWatch != nil {
		d.stopWatch()
	}
	program, args := process.Confined(d.by, d.lab.server, nil)
	if d.proc, err = process.Start(d.dir, d.Name, process.Isolated(d.dir, program, args, d.env)); err != nil {
		return err
	}
	d.mu.Lock()
	d.failed += d.last.FailedHandOvers() + int(d.last.Queued+d.last.InFlight)
	d.last = Stats{}
	d.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go d.watch(ctx, d.proc, watched)
	d.stopWatch = func() { cancel(); <-watched }
	return nil
}

// Process is the one that runs now, or ran last.
func (d *Distributor) Process() *process.Process { return d.proc }

// Kill ends it with SIGKILL.
func (d *Distributor) Kill() { d.proc.Kill() }

// watchEvery is how often /stats is read.
const watchEvery = 50 * time.Millisecond

func (d *Distributor) watch(ctx context.Context, proc *process.Process, watched chan<- struct{}) {
	defer close(watched)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-proc.Done():
			return
		case <-tick.C:
			// An error is a distributor that starts, stops or is starved;
			// whoever needs an answer asks Stats.
			_, _ = d.Stats(ctx)
		}
	}
}

// Stats asks for the counters of now.
func (d *Distributor) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.HTTP+"/stats", nil)
	if err != nil {
		return s, err
	}
	res, err := d.web.Do(req)
	if err != nil {
		return s, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return s, fmt.Errorf("GET /stats: %s", res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("GET /stats: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = s
	if abs(s.Unaccounted) > abs(d.unaccounted) {
		d.unaccounted = s.Unaccounted
	}
	return s, nil
}

// Goroutines asks /metrics how many goroutines it has.
func (d *Distributor) Goroutines() (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.HTTP+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := d.web.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, fmt.Errorf("GET /metrics: %w", err)
	}
	const name = "\ngo_goroutines "
	_, after, found := strings.Cut(string(text), name)
	if !found {
		return 0, errors.New("GET /metrics: no go_goroutines")
	}
	value, _, _ := strings.Cut(after, "\n")
	return strconv.Atoi(value)
}

// failedHandOvers counts over all lives, as far as it was seen.
func (d *Distributor) failedHandOvers() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed + d.last.FailedHandOvers()
}

func (d *Distributor) worstUnaccounted() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unaccounted
}

func abs(v int64) int64 { return max(v, -v) }

func (l *Lab) newDistributor(dir string, index int) (*Distributor, error) {
	d := &Distributor{Name: fmt.Sprintf("distributor-%d", index+1), lab: l, dir: dir,
		web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
	d.DeadLetters = filepath.Join(dir, d.Name+"-dead-letters")
	var err error
	if d.Addr, err = l.ports.Addr(); err == nil {
		d.HTTP, err = l.ports.Addr()
	}
	return d, err
}

// Draining says whether the distributor tells that it stops; one that does not
// answer any more has done so.
func (d *Distributor) Draining() bool {
	res, err := d.web.Get("http://" + d.HTTP + "/health")
	if err != nil {
		return true
	}
	defer res.Body.Close()
	var health struct {
		Draining bool `json:"draining"`
	}
	return json.NewDecoder(res.Body).Decode(&health) == nil && health.Draining
}
