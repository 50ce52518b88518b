package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/internal/await"
	"sluice/protocol"
	"sluice/server/config"
	"sluice/server/stats"
)

var quiet = slog.New(slog.DiscardHandler)

// settings is a small distributor on ports of the system's choice.
func settings(t *testing.T, analyzers ...string) config.Config {
	cfg := config.Default()
	cfg.Listen, cfg.HTTPListen, cfg.Workers = "127.0.0.1:0", "127.0.0.1:0", 2
	cfg.DeadLetterDir = t.TempDir()
	cfg.Silence, cfg.SpillAfter = await.Patience, await.Patience // a starved machine is no silent analyzer
	cfg.Analyzers = nil
	for i, addr := range analyzers {
		cfg.Analyzers = append(cfg.Analyzers, config.Analyzer{Name: string(rune('a' + i)), Addr: addr, Weight: 1})
	}
	return cfg
}

func start(t *testing.T, cfg config.Config) *Node {
	t.Helper()
	n, err := Start(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after a test that has called it, it says the same again
		ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
		defer cancel()
		_ = n.Shutdown(ctx)
	})
	return n
}

// deadAddr is an address that nobody listens on.
func deadAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	return ln.Addr().String()
}

// startAnalyzer acknowledges everything and tells the ids; over with the test.
func startAnalyzer(t *testing.T) (addr string, packets chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets = make(chan string, 64)
	var all sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			all.Go(func() { analyze(c, packets) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return ln.Addr().String(), packets
}

func analyze(c net.Conn, packets chan<- string) {
	defer c.Close()
	r := protocol.NewFrameReader(c, protocol.DefaultMaxFrame)
	n := uint64(0)
	for {
		body, err := r.Next()
		if err != nil {
			return
		}
		var answer []byte
		if protocol.IsControl(body[0]) {
			var m protocol.Control
			if protocol.ParseControl(body, &m) != nil {
				return
			}
			switch m.Op {
			case protocol.OpHello:
				answer = protocol.AppendWelcome(nil, protocol.Welcome{Version: protocol.Version, Server: "fake", Frames: 4096, Bytes: 4 << 20,
					MaxFrame: protocol.DefaultMaxFrame, Compression: []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip}})
			case protocol.OpPing:
				answer = protocol.AppendPong(nil, m.Echo)
			}
		} else {
			var s protocol.Scanned
			if protocol.Scan(body, &s) != nil {
				return
			}
			n++
			packets <- string(s.PacketID)
			answer = protocol.AppendAck(nil, n, n+4096, 1<<30)
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

func body(id string) []byte {
	return protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: id, AgentID: "agent",
		Messages: []protocol.LogMessage{{Level: protocol.LevelDebug, Source: "test", Message: "hello"}}})
}

// deliver sends one packet as an agent and awaits its ACK.
func deliver(t *testing.T, n *Node, id string) {
	t.Helper()
	c := dial(t, n.Addr().String())
	defer c.Close()
	if _, err := c.Write(protocol.AppendFrame(nil, body(id))); err != nil {
		t.Fatal(err)
	}
	answer, err := protocol.NewFrameReader(c, protocol.DefaultMaxFrame).Next()
	if err != nil {
		t.Fatal(err)
	}
	var m protocol.Control
	if err := protocol.ParseControl(answer, &m); err != nil || m.Op != protocol.OpAck || m.N != 1 {
		t.Fatalf("answer %+v, %v, want ACK 1", m, err)
	}
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, await.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTwoNodesInOneProcess(t *testing.T) {
	await.LeavesNothing(t)
	type side struct {
		node    *Node
		packets chan string
		id      string
	}
	sides := [2]side{{id: "one"}, {id: "two"}}
	for i := range sides {
		addr, packets := startAnalyzer(t)
		sides[i].node, sides[i].packets = start(t, settings(t, addr)), packets
	}
	for _, s := range sides {
		await.True(t, "ready", s.node.Ready)
	}
	for _, s := range sides {
		deliver(t, s.node, s.id)
		if got := await.Value(t, "packet", s.packets); got != s.id {
			t.Errorf("the analyzer of %s got %s", s.id, got)
		}
	}
	// They share nothing: each has counted its own, and lives when the other ends.
	if err := sides[0].node.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	deliver(t, sides[1].node, "three")
	if got := sides[1].node.Stats(); got.DeliveredPackets != 2 || got.UnaccountedPackets != 0 {
		t.Errorf("stats of the second: %+v", got)
	}
}

func TestAPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := deadAddr(t)
	for name, set := range map[string]func(*config.Config){
		"agents": func(c *config.Config) { c.Listen, c.HTTPListen = taken.Addr().String(), free },
		"HTTP":   func(c *config.Config) { c.Listen, c.HTTPListen = free, taken.Addr().String() },
		"admin":  func(c *config.Config) { c.Listen, c.Admin = free, taken.Addr().String() },
		"and admin is free": func(c *config.Config) {
			c.Admin, c.HTTPListen = free, taken.Addr().String()
		},
	} {
		t.Run(name, func(t *testing.T) {
			await.LeavesNothing(t)
			cfg := settings(t, deadAddr(t))
			set(&cfg)
			n, err := Start(cfg, quiet)
			var op *net.OpError
			if n != nil || !errors.As(err, &op) || !errors.Is(err, syscall.EADDRINUSE) {
				t.Fatalf("started, or the wrong error: %v", err)
			}
			if op.Addr.String() != taken.Addr().String() || !strings.Contains(err.Error(), taken.Addr().String()) {
				t.Errorf("%q does not name %v", err, taken.Addr())
			}
			again, err := net.Listen("tcp", free)
			if err != nil {
				t.Fatalf("the other port is still bound: %v", err)
			}
			again.Close()
		})
	}
}

func TestShutdownWithNothingInFlight(t *testing.T) {
	await.LeavesNothing(t)
	addr, _ := startAnalyzer(t)
	n := start(t, settings(t, addr))
	await.True(t, "ready", n.Ready)
	deliver(t, n, "a")
	// The context never ends: nothing but being done can end this.
	done := make(chan error, 3)
	for range cap(done) { // at the same time
		go func() { done <- n.Shutdown(context.Background()) }()
	}
	for range cap(done) {
		if err := await.Value(t, "end of the shutdown", done); err != nil {
			t.Error(err)
		}
	}
	if err := n.Shutdown(context.Background()); err != nil { // and again
		t.Error(err)
	}
	if n.Ready() || n.Health().Status != stats.Unhealthy || !n.Health().Draining {
		t.Errorf("health after the end: %+v", n.Health())
	}
	for _, a := range []net.Addr{n.Addr(), n.HTTPAddr()} {
		if c, err := net.DialTimeout("tcp", a.String(), await.Patience); err == nil {
			c.Close()
			t.Errorf("%v still accepts", a)
		}
	}
}

func TestShutdownTellsAgents(t *testing.T) {
	await.LeavesNothing(t)
	n := start(t, settings(t, deadAddr(t)))
	c := dial(t, n.Addr().String())
	await.True(t, "a session", func() bool { return n.Stats().Sessions == 1 })
	done := make(chan error, 1)
	go func() { done <- n.Shutdown(context.Background()) }()
	r := protocol.NewFrameReader(c, protocol.DefaultMaxFrame)
	answer, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	var m protocol.Control
	if err := protocol.ParseControl(answer, &m); err != nil || m.Op != protocol.OpGoaway || protocol.GoawayCode(m.Code) != protocol.GoawayDrain {
		t.Fatalf("answer %+v, %v, want GOAWAY drain", m, err)
	}
	if answer, err := r.Next(); err == nil {
		t.Errorf("a word after the last: %x", answer)
	}
	c.Close()
	if err := await.Value(t, "end of the shutdown", done); err != nil {
		t.Error(err)
	}
}

// A 202 is a promise: what could not be delivered before the stop lies in the
// dead-letter folder, and the next distributor delivers it.
func TestAPromiseOutlivesTheShutdown(t *testing.T) {
	await.LeavesNothing(t)
	cfg := settings(t, deadAddr(t))
	n := start(t, cfg)
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: await.Patience}
	for _, id := range []string{"first", "second"} {
		resp, err := plain.Post("http://"+n.HTTPAddr().String()+"/ingest", "application/msgpack", bytes.NewReader(body(id)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("status %d, want 202", resp.StatusCode)
		}
	}
	if st := n.Stats(); st.QueuedPackets != 2 || st.DeadLetters.ReservedBytes == 0 {
		t.Fatalf("%d packets queued, want 2; %d bytes reserved", st.QueuedPackets, st.DeadLetters.ReservedBytes)
	}
	if err := n.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if st := n.Stats(); st.DeadLetteredPackets != 2 || st.UnaccountedPackets != 0 {
		t.Errorf("after the stop: %+v", st)
	}

	addr, packets := startAnalyzer(t)
	cfg.Analyzers[0].Addr = addr
	again := start(t, cfg)
	got := map[string]bool{} // of different loops: in any order
	for range 2 {
		got[await.Value(t, "a dead letter", packets)] = true
	}
	if !got["first"] || !got["second"] {
		t.Errorf("delivered %v", got)
	}
	await.True(t, "an empty folder", func() bool {
		d := again.Stats().DeadLetters
		return d.Packets == 0 && d.ReplayedPackets == 2 && d.Bytes == 0
	})
}

// Without room among the dead letters nothing is promised, and agents are
// served all the same.
func TestNoPromiseWithoutRoom(t *testing.T) {
	await.LeavesNothing(t)
	addr, packets := startAnalyzer(t)
	cfg := settings(t, addr)
	blocked := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.DeadLetterDir = filepath.Join(blocked, "folder")
	n := start(t, cfg)
	await.True(t, "the analyzer up", func() bool { return n.Stats().Analyzers[0].State == "up" })
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: await.Patience}
	resp, err := plain.Post("http://"+n.HTTPAddr().String()+"/ingest", "application/msgpack", bytes.NewReader(body("unlucky")))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if h := n.Health(); h.Status != stats.Degraded || len(h.Reasons) != 1 {
		t.Errorf("health %+v, want degraded", h)
	}
	c := dial(t, n.Addr().String())
	if _, err := c.Write(protocol.AppendFrame(nil, body("by wire"))); err != nil {
		t.Fatal(err)
	}
	if got := await.Value(t, "packet", packets); got != "by wire" {
		t.Errorf("got %s", got)
	}
	c.Close()
}

// An analyzer that cannot be reached says so where people look.
func TestAnUnreachableAnalyzerIsInTheStats(t *testing.T) {
	await.LeavesNothing(t)
	dead := deadAddr(t)
	n := start(t, settings(t, dead))
	await.True(t, "an error of the analyzer", func() bool { return n.Stats().Analyzers[0].LastError != "" })
	a := n.Stats().Analyzers[0]
	if a.State != "down" || a.Address != dead || !strings.Contains(a.LastError, dead) {
		t.Errorf("analyzer: %+v", a)
	}
	if n.Ready() {
		t.Error("ready without an analyzer")
	}
}
