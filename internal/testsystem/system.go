package testsystem

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/await"
	"sluice/internal/process"
)

// Options says what a system is made of.
type Options struct {
	Server, Analyzer Programs // may be of different versions
	Weights          []float64
	Flags            []string // further flags of the distributor
}

// System is a distributor before analyzers, each a process of its own, which
// write receipts and messages. It ends with its test. Owned by the test's
// goroutine.
type System struct {
	Dir  string
	Addr string // where agents connect
	HTTP string // of the distributor

	t         testing.TB
	analyzers int
	processes process.Group
}

// Stats is what is read of the distributor's GET /stats.
type Stats struct {
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
}

// Start runs everything and waits until the distributor is healthy.
func Start(t testing.TB, o Options) *System {
	t.Helper()
	s := &System{t: t, Dir: t.TempDir(), analyzers: len(o.Weights)}
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range s.processes {
				t.Logf("--- %s\n%s", p.Name, p.Tail(10))
			}
		}
		s.processes.Stop()
	})
	var ports Ports
	addr := func() string {
		a, err := ports.Addr()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var list []string
	for i, weight := range o.Weights {
		at, name := addr(), analyzerName(i)
		s.start(name, o.Analyzer.Path("analyzer"), "--name", name, "--listen", at, "--http", addr(),
			"--receipts", s.path(i, "receipts"), "--output", s.path(i, "ndjson"), "--log-level", "warn")
		list = append(list, fmt.Sprintf("%s=tcp://%s?weight=%g", name, at, weight))
	}
	s.Addr, s.HTTP = addr(), addr()
	d := s.start("distributor", o.Server.Path("server"), append([]string{"--listen", s.Addr, "--http", s.HTTP,
		"--dead-letter-dir", filepath.Join(s.Dir, "dead-letters"), "--analyzers", strings.Join(list, ",")}, o.Flags...)...)
	await.True(t, "healthy", func() bool {
		if err := d.Ended(); err != nil {
			t.Fatal(err)
		}
		var health struct {
			Status string `json:"status"`
		}
		return s.get("/health", &health) == nil && health.Status == "healthy"
	})
	return s
}

func analyzerName(i int) string { return fmt.Sprintf("analyzer-%d", i+1) }

func (s *System) path(analyzer int, kind string) string {
	return filepath.Join(s.Dir, analyzerName(analyzer)+"."+kind)
}

func (s *System) start(name, program string, args ...string) *process.Process {
	s.t.Helper()
	p, err := s.processes.Start(s.Dir, name, process.Isolated(s.Dir, program, args, nil))
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// Run runs a program to its end, which must be exit code 0.
func (s *System) Run(name, program string, args ...string) {
	s.t.Helper()
	p, err := process.Start(s.Dir, name, process.Isolated(s.Dir, program, args, nil))
	if err != nil {
		s.t.Fatal(err)
	}
	code, ended := p.ExitWithin(await.Patience)
	if !ended {
		p.Kill()
	}
	if code != 0 || !ended {
		s.t.Fatalf("%s: exit code %d, ended by itself: %v\n%s", name, code, ended, p.Tail(20))
	}
}

func (s *System) get(path string, into any) error {
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Get("http://" + s.HTTP + path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into)
}

// AwaitQuiet waits until nothing is queued and nothing in flight, and returns
// the distributor's ledger.
func (s *System) AwaitQuiet() (st Stats) {
	s.t.Helper()
	await.True(s.t, "quiet", func() bool {
		st = Stats{}
		return s.get("/stats", &st) == nil && st.Queued+st.InFlight == 0
	})
	return st
}

// Stop ends all processes, in order, and fails the test if one does not end by
// itself.
func (s *System) Stop() {
	s.t.Helper()
	for i := len(s.processes) - 1; i >= 0; i-- {
		if err := s.processes[i].Stop(); err != nil {
			s.t.Error(err)
		}
	}
}

// Receipts counts how often each analyzer received each packet_id.
func (s *System) Receipts() []map[string]int { return s.lines("receipts") }

// Messages counts how often each analyzer wrote each message, as JSON.
func (s *System) Messages() []map[string]int { return s.lines("ndjson") }

func (s *System) lines(kind string) []map[string]int {
	s.t.Helper()
	each := make([]map[string]int, s.analyzers)
	for i := range each {
		text, err := os.ReadFile(s.path(i, kind))
		if err != nil {
			s.t.Fatal(err)
		}
		each[i] = map[string]int{}
		for line := range strings.Lines(string(text)) {
			each[i][strings.TrimSuffix(line, "\n")]++
		}
	}
	return each
}
