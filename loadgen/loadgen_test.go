package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"sluice/protocol"
)

// load runs the program and returns its exit code, its result and all it printed.
func load(t *testing.T, args ...string) (int, result, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "result.json")
	var out bytes.Buffer
	code := run(append(args, "--json", file), &out, &out)
	var r result
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil && code == exitOK {
		t.Fatal(err)
	}
	return code, r, out.String()
}

func TestEveryPacketArrivesOnce(t *testing.T) {
	for _, c := range []struct {
		name                      string
		args                      []string
		packets, messages, packed int
		size                      int
	}{
		{"default", nil, 2000, 2000, 0, 200},
		{"uneven", []string{"-c", "7", "-n", "5003"}, 5003, 5003, 0, 200},
		{"more connections than packets", []string{"-c", "9", "-n", "4"}, 4, 4, 0, 200},
		{"several messages", []string{"-n", "100", "--messages", "5"}, 100, 500, 0, 0},
		{"size", []string{"-n", "100", "--messages", "3", "--size", "1000"}, 100, 300, 0, 1000},
		{"large", []string{"-n", "20", "--size", "64KiB"}, 20, 20, 0, 64 << 10},
		{"rate", []string{"-n", "300", "-r", "20000"}, 300, 300, 0, 200},
		{"zstd", []string{"-n", "300", "--compress", "zstd"}, 300, 300, 300, 0},
		{"s2", []string{"-n", "300", "--compress", "s2"}, 300, 300, 300, 0},
		{"gzip", []string{"-n", "300", "--compress", "gzip"}, 300, 300, 300, 0},
		{"without hello", []string{"-n", "9000", "--no-hello"}, 9000, 9000, 0, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSink(t, true)
			code, r, text := load(t, append(c.args, "--addr", s.addr)...)
			if code != exitOK {
				t.Fatalf("exit %d\n%s", code, text)
			}
			if len(s.ids) != c.packets || s.messages != c.messages || s.packed != c.packed {
				t.Errorf("%d ids, %d messages, %d packed", len(s.ids), s.messages, s.packed)
			}
			if c.size > 0 && s.sizes[c.size] != c.packets {
				t.Errorf("sizes %v, want %d", s.sizes, c.size)
			}
			if int(r.Delivered) != c.packets || r.Failed != 0 || r.SuccessRate != 1 || int(r.Messages) != c.messages {
				t.Errorf("%+v", r)
			}
			if int(r.Latency.Samples) != c.packets || r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P999 {
				t.Errorf("%+v", r.Latency)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	s := newSink(t, true)
	code, r, text := load(t, "-d", "100ms", "-c", "2", "--addr", s.addr)
	if code != exitOK || r.Delivered == 0 || int(r.Delivered) != len(s.ids) || r.Planned != 0 {
		t.Errorf("exit %d, %d ids, %+v\n%s", code, len(s.ids), r, text)
	}
}

func TestRefusedPacketsMakeItFail(t *testing.T) {
	s := newSink(t, true)
	s.judge = func(n uint64, _ string) protocol.NackCode {
		if n == 3 {
			return protocol.NackInvalid
		}
		return 0
	}
	code, r, text := load(t, "-c", "2", "-n", "1000", "--addr", s.addr)
	if code != exitFailed || r.Failed == 0 || r.Delivered+r.Failed != 1000 || r.Failures["invalid"] != r.Failed {
		t.Errorf("exit %d, %+v", code, r)
	}
	if !strings.Contains(text, "invalid") {
		t.Errorf("the summary does not say why:\n%s", text)
	}
}

func TestBusyIsSentAgain(t *testing.T) {
	s := newSink(t, true)
	seen := map[string]bool{}
	s.judge = func(_ uint64, id string) protocol.NackCode {
		if strings.HasSuffix(id, "7") && !seen[id] {
			seen[id] = true
			return protocol.NackBusy
		}
		return 0
	}
	code, r, text := load(t, "-c", "2", "-n", "1000", "--addr", s.addr)
	if code != exitOK || r.Delivered != 1000 || len(s.ids) != 1000 || r.Busy == 0 || r.Resends != r.Busy {
		t.Errorf("exit %d, %+v\n%s", code, r, text)
	}
}

func TestNobodyListens(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	code, _, text := load(t, "--addr", addr, "--connect-timeout", "0.2")
	if code != exitFailed || !strings.Contains(text, addr) {
		t.Errorf("exit %d: %s", code, text)
	}
}

func TestStallEndsTheRun(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // connects, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	code, r, text := load(t, "--addr", ln.Addr().String(), "-c", "2", "--no-hello", "--stall-timeout", "0.5")
	if code != exitFailed || r.Failures["unanswered"] != 2000 || !strings.Contains(text, "no answer") {
		t.Errorf("exit %d, %+v\n%s", code, r, text)
	}
}

func TestRealLinesAreSentOnce(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	for n := range 250 {
		fmt.Fprintf(&text, "2015-05-02 10:11:%02d ERROR [main] a.b.C: line %d\n\n", n%60, n)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.log"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSink(t, true)
	code, r, out := load(t, "--addr", s.addr, "--from", filepath.Join(dir, "*.log"), "--messages", "100")
	if code != exitOK || r.Delivered != 3 || len(s.ids) != 3 || s.messages != 250 || r.Messages != 250 {
		t.Errorf("exit %d, %+v\n%s", code, r, out)
	}
	if code, _, out := load(t, "--addr", s.addr, "--from", filepath.Join(dir, "*.txt")); code != exitConfig {
		t.Errorf("exit %d for a glob without files\n%s", code, out)
	}
}

func TestHTTP(t *testing.T) {
	for _, compress := range []string{"none", "gzip", "zstd"} {
		t.Run(compress, func(t *testing.T) {
			var (
				mu   sync.Mutex
				ids  = map[string]int{}
				busy atomic.Int64
			)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
				if busy.Add(1) == 5 {
					ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
					return
				}
				body, err := ctx.Request.BodyUncompressed()
				var p struct {
					ID       string `json:"packet_id"`
					Messages []any  `json:"messages"`
				}
				if err == nil {
					err = json.Unmarshal(body, &p)
				}
				if err != nil || len(p.Messages) != 2 || string(ctx.Path()) != "/ingest" {
					ctx.SetStatusCode(fasthttp.StatusBadRequest)
					return
				}
				mu.Lock()
				ids[p.ID]++
				mu.Unlock()
				ctx.SetStatusCode(fasthttp.StatusAccepted)
			}}
			served := make(chan error, 1)
			go func() { served <- server.Serve(ln) }()
			code, r, out := load(t, "--proto", "http", "-c", "3", "-n", "200", "--messages", "2",
				"--compress", compress, "--addr", "http://"+ln.Addr().String()+"/")
			if code != exitOK || r.Delivered != 200 || len(ids) != 200 || r.Busy != 1 || r.Resends != 1 {
				t.Errorf("exit %d, %d ids, %+v\n%s", code, len(ids), r, out)
			}
			if err := server.Shutdown(); err != nil {
				t.Error(err)
			}
			<-served
		})
	}
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-c", "0"}, {"-n", "x"}, {"-d", "soon"}, {"-r", "-1"}, {"--proto", "udp"}, {"--compress", "lz4"},
		{"--messages", "0"}, {"--size", "3"}, {"--size", "big"}, {"--size", "300", "--from", "*.go"},
		{"--no-hello", "--compress", "zstd"}, {"--nonsense"}, {"--log-level", "loud"},
	} {
		if code, _, text := load(t, args...); code != exitConfig || text == "" {
			t.Errorf("%v: exit %d\n%s", args, code, text)
		}
	}
}

func TestFlagsHaveEnvironmentNames(t *testing.T) {
	s := newSink(t, true)
	t.Setenv("LOADGEN_ADDR", s.addr)
	t.Setenv("LOADGEN_PACKETS", "11")
	if code, r, text := load(t); code != exitOK || r.Delivered != 11 {
		t.Errorf("exit %d\n%s", code, text)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for flag, want := range map[string]string{"--help": "Examples:", "--version": "loadgen "} {
		var out bytes.Buffer
		if code := run([]string{flag}, &out, &out); code != exitOK || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit %d\n%s", flag, code, out.String())
		}
	}
}

func TestPlanHandsOutEveryPacketOnce(t *testing.T) {
	p := newPlan(&options{Packets: 100_000, Connections: 4}, nil)
	var total atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for k := 1; ; k = k%700 + 1 {
				_, n := p.claim(k)
				if n == 0 {
					return
				}
				total.Add(int64(n))
			}
		})
	}
	wg.Wait()
	if total.Load() != 100_000 {
		t.Errorf("%d", total.Load())
	}
}

func TestPlannedTimesAreEven(t *testing.T) {
	p := newPlan(&options{Rate: 1000, Duration: 1, Connections: 4}, nil)
	for k := range 40 {
		want := time.Duration(k) * time.Millisecond
		if got := p.due(k%4, uint64(k/4)).Sub(p.start); got != want {
			t.Errorf("packet %d is due after %s, want %s", k, got, want)
		}
	}
}

// BenchmarkLoad is the client and the generator against a sink that only
// counts, over loopback: one operation is one packet.
func BenchmarkLoad(b *testing.B) {
	s := newSink(b, false)
	var out bytes.Buffer
	b.SetBytes(204)
	if code := run([]string{"-c", "10", "-n", fmt.Sprint(b.N), "--addr", s.addr}, &out, &out); code != exitOK {
		b.Fatal(out.String())
	}
}
