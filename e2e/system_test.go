// Package e2e tests the whole over loopback: real distributor, real
// analyzers, real agents.
package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	analyzer "sluice/analyzer/node"
	"sluice/client"
	"sluice/protocol"
	"sluice/server/config"
	distributor "sluice/server/node"
	"sluice/server/stats"
)

// limit is how long anything may take on a busy machine.
const limit = 60 * time.Second

// system is a distributor and its analyzers, with receipts.
type system struct {
	t           *testing.T
	dir         string
	cfg         config.Config
	analyzers   []*analyzer.Node // nil: not running
	addrs       []string
	distributor *distributor.Node
	discard     bool // analyzers acknowledge without looking, and write no receipts
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// newSystem reserves an address for each analyzer; nothing runs yet.
func newSystem(t *testing.T, weights ...float64) *system {
	t.Helper()
	s := &system{t: t, dir: t.TempDir(), cfg: config.Default(), analyzers: make([]*analyzer.Node, len(weights))}
	s.cfg.Listen, s.cfg.HTTPListen, s.cfg.Workers = "127.0.0.1:0", "127.0.0.1:0", 2
	// A starved machine is not a slow analyzer: what these tests assert are
	// counts, so only faults that they make may move packets.
	s.cfg.SpillAfter, s.cfg.Silence = limit, limit
	s.cfg.DeadLetterDir = filepath.Join(s.dir, "dead-letters")
	s.cfg.Analyzers = nil
	for i, w := range weights {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.addrs = append(s.addrs, ln.Addr().String())
		ln.Close()
		s.cfg.Analyzers = append(s.cfg.Analyzers, config.Analyzer{Name: fmt.Sprintf("analyzer-%d", i+1), Addr: s.addrs[i], Weight: w})
	}
	t.Cleanup(s.stop)
	return s
}

func (s *system) startAnalyzer(i int) {
	s.t.Helper()
	cfg := analyzer.Config{Name: s.cfg.Analyzers[i].Name, Listen: s.addrs[i], HTTP: "127.0.0.1:0", Discard: s.discard, Logger: quiet()}
	if !s.discard {
		cfg.Receipts = s.receipts(i)
	}
	a, err := analyzer.Start(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.analyzers[i] = a
}

func (s *system) receipts(i int) string { return filepath.Join(s.dir, fmt.Sprintf("receipts-%d", i)) }

func (s *system) startDistributor() {
	s.t.Helper()
	d, err := distributor.Start(s.cfg, quiet())
	if err != nil {
		s.t.Fatal(err)
	}
	s.distributor = d
}

// start runs everything and waits until all analyzers are up.
func (s *system) start() {
	s.t.Helper()
	for i := range s.analyzers {
		s.startAnalyzer(i)
	}
	s.startDistributor()
	s.await("all analyzers up", s.allUp)
}

func (s *system) allUp() bool { return s.distributor.Health().Status == stats.Healthy }

func (s *system) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if s.distributor != nil {
		if err := s.distributor.Shutdown(ctx); err != nil {
			s.t.Errorf("shutdown: %v", err)
		}
		s.distributor = nil
	}
	for i, a := range s.analyzers {
		if a != nil {
			if err := a.Stop(ctx); err != nil {
				s.t.Errorf("analyzer %d: %v", i, err)
			}
			s.analyzers[i] = nil
		}
	}
}

// await polls until a condition holds.
func (s *system) await(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.After(limit)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-deadline:
			s.t.Fatalf("not within %v: %s; stats %+v", limit, what, s.distributor.Stats())
		case <-poll.C:
		}
	}
}

// received counts the receipts of each packet over all analyzers.
func (s *system) received() (perPacket map[string]int, perAnalyzer []int) {
	s.t.Helper()
	perPacket = map[string]int{}
	for i := range s.addrs {
		n := 0
		f, err := os.Open(s.receipts(i))
		if err == nil {
			sc := bufio.NewScanner(f)
			for sc.Scan() {
				perPacket[sc.Text()]++
				n++
			}
			f.Close()
		}
		perAnalyzer = append(perAnalyzer, n)
	}
	return perPacket, perAnalyzer
}

// agents sends count packets over conns clients and returns the ids that were
// reported delivered, and how many were not.
func (s *system) agents(conns, count int, during func()) (delivered []string, failed int) {
	s.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for k := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			agent := fmt.Sprintf("agent-%d", k)
			id := func(n uint64) string { return fmt.Sprintf("%s-%d", agent, n) }
			c, err := client.New(client.Config{Addrs: []string{s.distributor.Addr().String()}, Hello: k%2 == 0, Agent: agent,
				OnOutcome: func(tag uint64, o client.Outcome) {
					mu.Lock()
					defer mu.Unlock()
					if o.Delivered {
						delivered = append(delivered, id(tag))
					} else {
						failed++
					}
				}})
			if err != nil {
				s.t.Error(err)
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			for n := range uint64(count / conns) {
				p := protocol.LogPacket{PacketID: id(n), AgentID: agent, Messages: []protocol.LogMessage{
					{Timestamp: protocol.Timestamp{Time: time.Now()}, Level: protocol.LevelInfo, Source: "e2e", Message: "hello"}}}
				if err := c.SendPacket(ctx, &p, n); err != nil {
					s.t.Errorf("%s: %v", agent, err)
					break
				}
			}
			if err := c.Close(ctx); err != nil {
				s.t.Errorf("%s: %v", agent, err)
			}
		}()
	}
	if during != nil {
		during()
	}
	wg.Wait()
	return delivered, failed
}
