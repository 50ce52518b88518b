package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	analyzer "sluice/analyzer/node"
	"sluice/internal/testnet"
	"sluice/server/config"
	distributor "sluice/server/node"
)

// Agents behind a slow uplink deliver everything, and the link carries little
// besides: a connection that is given up because it is slow sends all again.
func TestSlowUplinks(t *testing.T) {
	for _, c := range []struct {
		rate          string
		agents, lines int
	}{{"8kbit", 1, 60}, {"64kbit", 1, 1000}, {"1mbit", 20, 500}} {
		t.Run(c.rate, func(t *testing.T) { testUplink(t, c.rate, c.agents, c.lines) })
	}
}

func testUplink(t *testing.T, rate string, agents, lines int) {
	if !testnet.Own(t, "tc", "nsenter") {
		return
	}
	there := testnet.Peer(t)
	inPeer := func(command ...string) *exec.Cmd {
		all := append(there[:len(there):len(there)], command...)
		return exec.CommandContext(t.Context(), all[0], all[1:]...)
	}
	if out, err := inPeer("tc", "qdisc", "add", "dev", "far", "root", "tbf", "rate", rate, "burst", "4k", "latency", "400ms").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this test needs tbf: %v: %s", err, out)
	}
	dir := t.TempDir()
	receipts := filepath.Join(dir, "receipts")
	a, err := analyzer.Start(analyzer.Config{Name: "a", Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Receipts: receipts})
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Listen, cfg.HTTPListen, cfg.DeadLetterDir = "10.8.0.1:0", "127.0.0.1:0", filepath.Join(dir, "dead")
	cfg.Analyzers = []config.Analyzer{{Name: "a", Addr: a.Addr(), Weight: 1}}
	d, err := distributor.Start(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	size, running := 0, make([]*exec.Cmd, agents)
	for i := range running {
		var text strings.Builder
		for k := range lines {
			fmt.Fprintf(&text, "2026-01-02T03:04:05Z INFO worker[%d]: request %d done, status=200 bytes=%d path=/api/v1/items/%d\n", k%7, k, k*37%5000, k)
		}
		size += text.Len()
		file := filepath.Join(dir, strconv.Itoa(i)+".log")
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		running[i] = inPeer(os.Args[0], "--addr", d.Addr().String(), "--agent-id", "agent-"+strconv.Itoa(i), "--once", "--file", file, "--progress", "never")
		running[i].Env = append(os.Environ(), asProgram+"=1")
		running[i].Stderr = os.Stderr
		if err := running[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, agent := range running {
		if err := agent.Wait(); err != nil {
			t.Errorf("agent %d: %v", i, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := d.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := a.Stop(ctx); err != nil {
		t.Error(err)
	}
	raw, err := os.ReadFile(receipts)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	all := strings.Split(strings.TrimSpace(string(raw)), "\n")
	for _, line := range all {
		ids[line] = true
	}
	if len(ids) != len(all) {
		t.Errorf("%d packets, %d receipts", len(ids), len(all))
	}
	out, err := inPeer("ip", "-s", "-j", "link", "show", "far").Output()
	if err != nil {
		t.Fatal(err)
	}
	var links []struct {
		Stats struct{ TX struct{ Bytes int } } `json:"stats64"`
	}
	if err := json.Unmarshal(out, &links); err != nil || len(links) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	// A record weighs twice its line in a packet.
	carried, most := links[0].Stats.TX.Bytes, 3*size+agents*16<<10
	t.Logf("%d bytes of lines in %d packets, %d bytes on the link", size, len(ids), carried)
	if carried > most {
		t.Errorf("%d bytes on the link for %d bytes of lines, want at most %d", carried, size, most)
	}
}
