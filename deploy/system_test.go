// Package deploy has no code: it checks what lies beside it against what really
// runs. Here: what the dashboard and the rules ask for is told by programs.
package deploy

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	agent "sluice/agent/node"
	analyzer "sluice/analyzer/node"
	"sluice/internal/await"
	"sluice/internal/exposition/expositiontest"
	"sluice/protocol"
	"sluice/server/config"
	distributor "sluice/server/node"
	"sluice/server/stats"
)

// scrapes are what each program said, by a name for people.
type scrapes map[string][]byte

var (
	once  sync.Once
	said  scrapes
	known *vocabulary
)

// system runs a distributor with an analyzer and an agent, and a distributor
// that is alone and has a dead letter; it scrapes all of them, once for all
// tests.
func system(t *testing.T) (scrapes, *vocabulary) {
	t.Helper()
	once.Do(func() {
		texts := scrapes{}
		v := newVocabulary()
		take := func(name, addr string) {
			samples, text := expositiontest.Get(t, "http://"+addr)
			texts[name] = text
			v.learn(samples)
		}
		a, err := analyzer.Start(analyzer.Config{Name: "a", Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Kill()
		well := startDistributor(t, a.Addr())
		defer stop(t, well)
		await.True(t, "all well", func() bool { return well.Health().Status == stats.Healthy })
		g := startAgent(t, well.Addr().String())
		defer stop(t, agentStopper{g})
		await.True(t, "shipped", func() bool { return g.Stats().DeliveredRecords == 2 })
		alone := startDistributor(t, "127.0.0.1:1")
		defer stop(t, alone)
		leaveDeadLetter(t, alone)
		take("distributor", well.HTTPAddr().String())
		take("distributor alone", alone.HTTPAddr().String())
		take("analyzer", a.HTTPAddr())
		take("agent", g.HTTPAddr())
		said, known = texts, v
	})
	if known == nil {
		t.Fatal("the programs did not run; see the first test that failed")
	}
	return said, known
}

func startDistributor(t *testing.T, analyzer string) *distributor.Node {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.HTTPListen, cfg.Workers = "127.0.0.1:0", "127.0.0.1:0", 2
	cfg.DeadLetterDir = t.TempDir()
	cfg.QueueTimeout = 10 * time.Millisecond
	cfg.Silence, cfg.SpillAfter = await.Patience, await.Patience
	cfg.Analyzers = []config.Analyzer{{Name: "a", Addr: analyzer, Weight: 1}}
	n, err := distributor.Start(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func startAgent(t *testing.T, to string) *agent.Node {
	t.Helper()
	logs := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(logs, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := agent.Default()
	cfg.Addrs, cfg.Agent, cfg.Files, cfg.HTTP, cfg.State = []string{to}, "g", []string{logs}, "127.0.0.1:0", t.TempDir()
	g, err := agent.Start(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// leaveDeadLetter has a distributor that nobody takes packets from promise one.
func leaveDeadLetter(t *testing.T, n *distributor.Node) {
	t.Helper()
	body := protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "p", AgentID: "g"})
	client := http.Client{Timeout: await.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post("http://"+n.HTTPAddr().String()+"/ingest", "application/msgpack", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("status %d", resp.StatusCode)
	}
	await.True(t, "a dead letter", func() bool { d := n.Stats().DeadLetters; return d.Packets == 1 && d.OldestAt != nil })
}

func stop(t *testing.T, n interface{ Shutdown(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	if err := n.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

type agentStopper struct{ *agent.Node }

func (s agentStopper) Shutdown(ctx context.Context) error { return s.Stop(ctx) }
