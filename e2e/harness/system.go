package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sluice/e2e/oracle"
	"sluice/e2e/relay"
)

// Options says what a system is made of. The zero value is one distributor
// before four analyzers of weights 40, 30, 20, 10.
type Options struct {
	Weights      []float64
	Distributors int
	Output       bool     // analyzers write messages too, and they are compared with what was sent
	AnalyzerArgs []string // further flags of every analyzer
	Relay        bool     // a relay before each analyzer
	AgentRelay   bool     // a relay before each distributor, where agents connect
	Fakes        []Misbehaviour
	Env          map[string]string // settings of the distributors, over the harness's
	File         bool              // the analyzers are in a configuration file, for Reload
	By           string            // shell command that confines the distributors, as "ulimit -n 256"
}

// fakeWeight is the weight of each fake analyzer.
const fakeWeight = 10

// settings are the timers of the distributors, short enough that a fault is
// over in seconds, and long enough that a busy machine is no fault.
func settings() map[string]string {
	return map[string]string{
		"NUM_WORKERS": "2", "HEALTH_CHECK_INTERVAL": "1", "SILENCE": "1", "ACK_TIMEOUT": "3", "SPILL_AFTER": "0.2",
		"RETRY_DELAY": "0.1", "QUEUE_TIMEOUT": "60", "SLOW_START": "1", "GRACE": "20",
	}
}

// System is everything that a scenario runs. Owned by its goroutine.
type System struct {
	Dir          string
	Oracle       *oracle.Oracle
	Analyzers    []*Analyzer
	Distributors []*Distributor
	AgentRelays  []*relay.Relay // one before each distributor, if asked for

	crew  *crew
	fresh []int // descriptors of each distributor when all was up
	past  int   // resends of crews that are gone
}

func (l *Lab) newSystem(dir string, o Options) (*System, error) {
	s := &System{Dir: dir, Oracle: &oracle.Oracle{}}
	if o.Weights == nil {
		o.Weights = []float64{40, 30, 20, 10}
	}
	var list []string
	for i := range len(o.Weights) + len(o.Fakes) {
		a := &Analyzer{Name: fmt.Sprintf("analyzer-%d", i+1), Index: i, Weight: fakeWeight, lab: l, dir: dir, args: o.AnalyzerArgs}
		s.Analyzers = append(s.Analyzers, a)
		if i < len(o.Weights) {
			a.Weight = o.Weights[i]
		}
		a.Receipts = filepath.Join(dir, a.Name+".receipts")
		if o.Output && i < len(o.Weights) {
			a.Output = filepath.Join(dir, a.Name+".ndjson")
		}
		var err error
		if a.addr, err = l.ports.Addr(); err != nil {
			return s, err
		}
		if a.http, err = l.ports.Addr(); err != nil {
			return s, err
		}
		at := a.addr
		switch {
		case i >= len(o.Weights):
			a.Fake, err = newFake(at, a.Receipts, o.Fakes[i-len(o.Weights)])
		case o.Relay:
			if at, err = l.ports.Addr(); err == nil {
				a.Relay, err = relay.New(at, a.addr)
			}
		}
		if err != nil {
			return s, err
		}
		list = append(list, fmt.Sprintf("%s=tcp://%s?weight=%g", a.Name, at, a.Weight))
	}
	for i := range max(1, o.Distributors) {
		d, err := l.newDistributor(dir, i)
		if err != nil {
			return s, err
		}
		d.by = o.By
		s.Distributors = append(s.Distributors, d)
		env := settings()
		for k, v := range o.Env {
			env[k] = v
		}
		env["LISTEN"], env["HTTP_LISTEN"], env["DEAD_LETTER_DIR"] = d.Addr, d.HTTP, d.DeadLetters
		if o.File {
			d.file = filepath.Join(dir, d.Name+".yaml")
			env["CONFIG_FILE"] = d.file
			if err := d.configure(s.Analyzers); err != nil {
				return s, err
			}
		} else {
			env["ANALYZERS"] = strings.Join(list, ",")
		}
		for k, v := range env {
			d.env = append(d.env, k+"="+v)
		}
		if o.AgentRelay {
			at, err := l.ports.Addr()
			if err != nil {
				return s, err
			}
			relay, err := relay.New(at, d.Addr)
			if err != nil {
				return s, err
			}
			s.AgentRelays = append(s.AgentRelays, relay)
		}
	}
	return s, nil
}

// start runs all programs; it does not wait for them.
func (s *System) start() error {
	for _, a := range s.Analyzers {
		if a.Fake == nil {
			if err := a.Start(); err != nil {
				return err
			}
		}
	}
	for _, d := range s.Distributors {
		if err := d.Start(); err != nil {
			return err
		}
	}
	return nil
}

// stop ends everything, whatever state it is in.
func (s *System) stop() {
	if s.crew != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.crew.close(ctx) // what was left open has been told already
		s.crew = nil
	}
	for _, r := range s.AgentRelays {
		r.Close()
	}
	for _, d := range s.Distributors {
		if d.proc != nil {
			d.Kill()
			d.stopWatch()
		}
	}
	for _, a := range s.Analyzers {
		if a.proc != nil {
			a.Kill()
		}
		if a.Relay != nil {
			a.Relay.Close()
		}
		if a.Fake != nil {
			a.Fake.Close()
		}
	}
}

// AgentAddrs is where agents connect.
func (s *System) AgentAddrs() (addrs []string) {
	for _, d := range s.Distributors {
		addrs = append(addrs, d.Addr)
	}
	for i, r := range s.AgentRelays {
		addrs[i] = r.Addr
	}
	return addrs
}

// Delivered counts receipts, of all analyzers but one; nil: of all.
func (s *System) Delivered(but *Analyzer) (n int) {
	for _, a := range s.Analyzers {
		if a != but {
			n += a.Delivered()
		}
	}
	return n
}

// failedHandOvers and resends are what duplicates can come from.
func (s *System) failedHandOvers() (n int) {
	for _, d := range s.Distributors {
		n += d.failedHandOvers()
	}
	return n
}

func (s *System) resends() int {
	if s.crew == nil {
		return s.past
	}
	return s.past + s.crew.resends()
}

// closeLoad stops the agents and waits for the answers that they are due.
func (s *System) closeLoad(limit time.Duration) error {
	if s.crew == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := s.crew.close(ctx)
	s.past += s.crew.resends()
	s.crew = nil
	return err
}

// quiet says why the system is not at rest yet: the ledger of each distributor
// must balance with nothing queued and nothing in flight.
func (s *System) quiet(ctx context.Context) error {
	var errs []error
	for _, d := range s.Distributors {
		st, err := d.Stats(ctx)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", d.Name, err))
		case st.Queued+st.InFlight != 0 || st.Unaccounted != 0:
			errs = append(errs, fmt.Errorf("%s: %d queued, %d in flight, %d unaccounted", d.Name, st.Queued, st.InFlight, st.Unaccounted))
		}
	}
	return errors.Join(errs...)
}

// recorded is the size of all that analyzers wrote down.
func (s *System) recorded() (bytes int64) {
	for _, a := range s.Analyzers {
		for _, path := range []string{a.Receipts, a.Output} {
			if st, err := os.Stat(path); err == nil {
				bytes += st.Size()
			}
		}
	}
	return bytes
}

func (s *System) judge() (oracle.Judgement, error) {
	var receipts, outputs, letters []string
	for _, a := range s.Analyzers {
		receipts = append(receipts, a.Receipts)
		if a.Output != "" {
			outputs = append(outputs, a.Output)
		}
	}
	for _, d := range s.Distributors {
		letters = append(letters, d.DeadLetters)
	}
	return s.Oracle.Judge(receipts, outputs, letters)
}

// logs returns the ends of what the programs wrote, for whoever has to find out
// why a scenario failed.
func (s *System) logs(lines int) string {
	var b strings.Builder
	for _, d := range s.Distributors {
		if d.proc != nil {
			fmt.Fprintf(&b, "--- %s\n%s\n", d.Name, d.proc.Tail(lines))
		}
	}
	for _, a := range s.Analyzers {
		if a.proc != nil {
			fmt.Fprintf(&b, "--- %s\n%s\n", a.Name, a.proc.Tail(lines/4))
		}
	}
	return b.String()
}
