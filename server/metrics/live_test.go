package metrics_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"

	analyzer "sluice/analyzer/node"
	"sluice/client"
	"sluice/internal/await"
	"sluice/internal/exposition/expositiontest"
	"sluice/protocol"
	"sluice/server/config"
	"sluice/server/metrics"
	distributor "sluice/server/node"
	"sluice/server/stats"
)

// start runs a distributor and two analyzers until the test ends.
func start(t testing.TB) *distributor.Node {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.HTTPListen, cfg.Workers = "127.0.0.1:0", "127.0.0.1:0", 2
	cfg.DeadLetterDir = t.TempDir()
	cfg.Silence, cfg.SpillAfter = await.Patience, await.Patience // a starved machine is no silent analyzer
	cfg.Analyzers = nil
	quiet := slog.New(slog.DiscardHandler)
	for i := range 2 {
		a, err := analyzer.Start(analyzer.Config{Name: fmt.Sprint("a", i), Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Discard: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Kill)
		cfg.Analyzers = append(cfg.Analyzers, config.Analyzer{Name: a.Name(), Addr: a.Addr(), Weight: float64(3 - i)})
	}
	n, err := distributor.Start(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
		defer cancel()
		if err := n.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	await.True(t, "healthy", func() bool { return n.Health().Status == stats.Healthy })
	return n
}

// send delivers so many packets.
func send(t testing.TB, n *distributor.Node, count int) {
	t.Helper()
	c, err := client.New(client.Config{Addrs: []string{n.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		p := protocol.LogPacket{PacketID: fmt.Sprint("p-", i), AgentID: "a",
			Messages: []protocol.LogMessage{{Level: protocol.LevelInfo, Source: "test", Message: "hello"}}}
		if err := c.SendPacket(t.Context(), &p, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// What a running distributor says in JSON it says in samples, the same numbers.
func TestARunningDistributorSaysTheSameTwice(t *testing.T) {
	n := start(t)
	send(t, n, 1000)
	base := "http://" + n.HTTPAddr().String()
	await.True(t, "no connection of the agent", func() bool { return n.Stats().Connections.Open == 0 && n.Stats().Sessions == 0 })
	resp, err := http.Get(base + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := expositiontest.Get(t, base)
	met := metrics.Check(t, text, m, "uptime_seconds", "http.requests", "byte_budget.used_bytes")
	if len(met) < 50 {
		t.Errorf("only %d fields: %v", len(met), met)
	}
	for metric, want := range map[string]float64{
		"sluice_received_packets_total": 1000, "sluice_received_messages_total": 1000, "sluice_delivered_packets_total": 1000,
		"sluice_connections_accepted_total": 1, "sluice_http_requests_total": 2, "sluice_loops": 2,
	} {
		if got := m.Value(t, metric); got != want {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	if got := m.Value(t, "sluice_analyzer_picked_packets_total", "analyzer", "a0"); got < 595 || got > 605 {
		t.Errorf("%v of 1000 packets were picked for 3 of 5", got)
	}
	h := m.Find("sluice_analyzer_ack_latency_seconds", "analyzer", "a0").GetHistogram()
	if float64(h.GetSampleCount()) != m.Value(t, "sluice_analyzer_delivered_packets_total", "analyzer", "a0") || h.GetSampleSum() <= 0 {
		t.Errorf("%d latencies, in all %v s", h.GetSampleCount(), h.GetSampleSum())
	}
	for _, name := range []string{"go_goroutines", "process_open_fds", "process_cpu_seconds_total", "process_start_time_seconds"} {
		if m.Value(t, name) <= 0 {
			t.Errorf("%s is nothing", name)
		}
	}
}

// Each scrape is one snapshot: under load, and with many at a time, the ledger
// balances in every one of them, and no counter goes back.
func TestEachScrapeIsOneSnapshot(t *testing.T) {
	n := start(t)
	base := "http://" + n.HTTPAddr().String()
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			last := 0.0
			for {
				m, _ := expositiontest.Get(t, base)
				received := m.Value(t, "sluice_received_packets_total")
				explained := m.Value(t, "sluice_delivered_packets_total") + m.Value(t, "sluice_dead_lettered_packets_total") +
					m.Value(t, "sluice_abandoned_packets_total") + m.Value(t, "sluice_queue_packets") + m.Value(t, "sluice_in_flight_packets")
				for _, sample := range m["sluice_rejected_packets_total"].Metric {
					explained += sample.Counter.GetValue()
				}
				if received != explained || received < last || m.Value(t, "sluice_unaccounted_packets") != 0 {
					t.Errorf("received %v after %v, explained %v", received, last, explained)
					return
				}
				last = received
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	send(t, n, 30_000)
	close(done)
	all.Wait()
}
