package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/exposition/expositiontest"
	"sluice/protocol"
)

const patience = time.Minute

// start runs a node on free ports and checks that it leaves nothing running.
func start(t *testing.T, cfg Config) *Node {
	t.Helper()
	before := runtime.NumGoroutine()
	cfg.Name, cfg.Listen, cfg.HTTP = "analyzer-t", "127.0.0.1:0", "127.0.0.1:0"
	n, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.Kill()
		// fasthttp keeps two goroutines of its own for the date and idle
		// workers for a while; they are the process's, not the node's.
		for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before+4; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
				return
			}
		}
	})
	return n
}

func dial(t *testing.T, n *Node) (net.Conn, *protocol.FrameReader) {
	t.Helper()
	nc, err := net.Dial("tcp", n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return nc, protocol.NewFrameReader(nc, 0)
}

func send(t *testing.T, nc net.Conn, ids ...string) {
	t.Helper()
	var all []byte
	for i, id := range ids {
		all = protocol.AppendFrame(all, protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: id, AgentID: "agent-t",
			Messages: []protocol.LogMessage{{Level: "ERROR", Source: "src", Message: fmt.Sprint("m", i)}}}))
	}
	if _, err := nc.Write(all); err != nil {
		t.Fatal(err)
	}
}

// await reads until ACK n and returns how many frames were refused.
func await(t *testing.T, in *protocol.FrameReader, n uint64) (refused uint64) {
	t.Helper()
	for {
		body, err := in.Next()
		if err != nil {
			t.Fatalf("waiting for ACK %d: %v", n, err)
		}
		var c protocol.Control
		if err := protocol.ParseControl(body, &c); err != nil {
			t.Fatal(err)
		}
		if c.Op == protocol.OpNack {
			refused += c.Count
		}
		if c.Op == protocol.OpAck && c.N == n {
			return refused
		}
	}
}

func get(t *testing.T, n *Node, path string, into any) int {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + n.HTTPAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v in %s", path, err, text)
	}
	return resp.StatusCode
}

// At the moment of the ACK receipts and output are in the files, and the
// counts are in /stats.
func TestRecordsBeforeTheAck(t *testing.T) {
	dir := t.TempDir()
	receipts, output := filepath.Join(dir, "r"), filepath.Join(dir, "o")
	n := start(t, Config{Receipts: receipts, Output: output})
	nc, in := dial(t, n)
	for round := range 20 {
		send(t, nc, fmt.Sprint("a", round), fmt.Sprint("b", round))
		await(t, in, uint64(2*round+2))
		ids, _ := os.ReadFile(receipts)
		lines, _ := os.ReadFile(output)
		if got := strings.Count(string(ids), "\n"); got != 2*round+2 || !strings.HasSuffix(string(ids), fmt.Sprintf("a%d\nb%d\n", round, round)) {
			t.Fatalf("round %d: receipts\n%s", round, ids)
		}
		if got := strings.Count(string(lines), "\n"); got != 2*round+2 {
			t.Fatalf("round %d: %d lines of output", round, got)
		}
		if s := n.Stats(); s.ReceivedPackets != uint64(2*round+2) {
			t.Fatalf("round %d: %+v", round, s)
		}
	}
	send(t, nc, "a1")
	await(t, in, 41)
	var stats map[string]any
	if code := get(t, n, "/stats", &stats); code != 200 || stats["name"] != "analyzer-t" || stats["received_packets"] != 41.0 ||
		stats["received_messages"] != 41.0 || stats["duplicate_packets"] != 1.0 || stats["by_level"].(map[string]any)["ERROR"] != 41.0 {
		t.Errorf("%d %v", code, stats)
	}
	for _, key := range []string{"received_bytes", "invalid_packets", "top_sources", "top_agents", "messages_per_second", "errors_per_second", "uptime_seconds"} {
		if _, ok := stats[key]; !ok {
			t.Errorf("/stats lacks %s", key)
		}
	}
	var health map[string]any
	if code := get(t, n, "/health", &health); code != 200 || health["status"] != "healthy" {
		t.Errorf("%d %v", code, health)
	}
	m, _ := expositiontest.Get(t, "http://"+n.HTTPAddr())
	for metric, want := range map[string]float64{
		"sluice_analysis_received_packets_total": 41, "sluice_analysis_received_messages_total": 41, "sluice_analysis_duplicate_packets_total": 1,
		"sluice_analysis_connections": 1, "sluice_analysis_healthy": 1, "sluice_analysis_received_bytes_total": stats["received_bytes"].(float64),
	} {
		if got := m.Value(t, metric); got != want {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	if errors, debug := m.Value(t, "sluice_analysis_messages_by_level_total", "level", "ERROR"), m.Value(t, "sluice_analysis_messages_by_level_total", "level", "DEBUG"); errors != 41 || debug != 0 {
		t.Errorf("%v errors, %v debug messages", errors, debug)
	}
	for _, name := range catalog.Names() {
		if m[name] == nil {
			t.Errorf("%s is declared and never said", name)
		}
	}
	if code := get(t, n, "/other", &health); code != 404 {
		t.Errorf("/other: %d", code)
	}
}

// What cannot be written is not acknowledged, and said in /health.
func TestAFullDiskIsNoAck(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here: ", err)
	}
	n := start(t, Config{Receipts: "/dev/full"})
	nc, in := dial(t, n)
	send(t, nc, "a", "b", "c")
	if refused := await(t, in, 3); refused != 3 {
		t.Errorf("%d refused", refused)
	}
	var health map[string]any
	if code := get(t, n, "/health", &health); code != 503 || health["status"] != "unhealthy" {
		t.Errorf("%d %v", code, health)
	}
	if m, _ := expositiontest.Get(t, "http://"+n.HTTPAddr()); m.Value(t, "sluice_analysis_healthy") != 0 {
		t.Error("healthy with a full disk")
	}
	if s := n.Stats(); s.ReceivedPackets != 0 {
		t.Errorf("%+v", s)
	}
}

func TestDiscard(t *testing.T) {
	n := start(t, Config{Discard: true})
	nc, in := dial(t, n)
	send(t, nc, "a", "b", "c")
	await(t, in, 3)
	if s := n.Stats(); s.ReceivedPackets != 3 || s.ReceivedMessages != 0 || s.ReceivedBytes == 0 {
		t.Errorf("%+v", s)
	}
}

func TestStopLosesNothing(t *testing.T) {
	n := start(t, Config{Delay: time.Hour})
	nc, in := dial(t, n)
	send(t, nc, "a", "b", "c")
	for n.Stats().ReceivedPackets < 3 {
		runtime.Gosched()
	}
	stopped := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { stopped <- n.Stop(ctx) }()
	await(t, in, 3)
	nc.Close()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}

func TestSeveralInOneProcessAndAPortInUse(t *testing.T) {
	one, two := start(t, Config{}), start(t, Config{})
	if one.Addr() == two.Addr() {
		t.Fatal("one address for two")
	}
	_, err := Start(Config{Name: "third", Listen: one.Addr(), HTTP: "127.0.0.1:0"})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), one.Addr()) {
		t.Errorf("%v", err)
	}
	_, err = Start(Config{Name: "third", Listen: "127.0.0.1:0", HTTP: one.HTTPAddr()})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), one.HTTPAddr()) {
		t.Errorf("%v", err)
	}
}

func TestCheckTellsEveryFault(t *testing.T) {
	err := Config{Listen: "x", HTTP: ":99999", Delay: -1, MaxFrame: 5, Receipts: "/nowhere/at/all", Discard: true}.Check()
	for _, flag := range []string{"--name", "--listen", "--http", "--discard", "--delay", "--max-frame", "--receipts"} {
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("nothing about %s in: %v", flag, err)
		}
	}
}
