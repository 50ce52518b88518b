package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"sluice/protocol"
	"sluice/server/stats"
)

// Whatever a packet_id holds comes back as JSON says it.
func TestAcceptedIDs(t *testing.T) {
	s := start(t, newFake(), nil)
	for _, id := range []string{"plain-1", `quote " and \\`, "<b>&", "tab\tnewline\n", "grün", "\u007f", "\u2028", strings.Repeat("x", 255)} {
		body, err := json.Marshal(map[string]any{"packet_id": id, "agent_id": "a", "messages": []any{}})
		if err != nil {
			t.Fatal(err)
		}
		a := post(t, s, string(body))
		want, err := json.Marshal(ingestAnswer{Status: "accepted", PacketID: id})
		if err != nil {
			t.Fatal(err)
		}
		if a.status != 202 || a.body != string(want)+"\n" {
			t.Errorf("%q: %+v, want %s", id, a, want)
		}
	}
}

func TestAccepted(t *testing.T) {
	f := newFake()
	s := start(t, f, nil)
	for _, headers := range [][]string{nil, {"Content-Type", "application/json"}, {"Content-Type", `Application/JSON; charset="UTF-8"`}} {
		if a := post(t, s, packet, headers...); a.status != 202 || a.body != `{"status":"accepted","packet_id":"p-1"}`+"\n" {
			t.Errorf("%v: %+v", headers, a)
		}
	}
	if a := post(t, s, string(binaryPacket()), "Content-Type", "application/msgpack"); a.status != 202 || !strings.Contains(a.body, `"p-2"`) {
		t.Errorf("%+v", a)
	}
	if !bytes.Equal(f.last(t), binaryPacket()) {
		t.Error("a binary packet was rewritten")
	}
	frame := protocol.NewCompressor(protocol.Zstd).Append(nil, binaryPacket())
	if a := post(t, s, string(frame), "Content-Type", "application/msgpack"); a.status != 202 || !bytes.Equal(f.last(t), frame) {
		t.Errorf("a compressed packet: %+v", a)
	}
	if f.messages[0] != 1 || f.accepted() != 5 {
		t.Errorf("submitted %d, of %v messages", f.accepted(), f.messages)
	}
}

func TestWait(t *testing.T) {
	delivered := Outcome{Delivered: true, Analyzer: "analyzer-3"}
	for _, tc := range []struct {
		name    string
		wait    string
		admit   Admission
		outcome *Outcome
		status  int
		body    string
		retry   string
	}{
		{"delivered", "5s", Admission{Accepted: true}, &delivered, 200, `{"status":"delivered","packet_id":"p-1","analyzer":"analyzer-3"}`, ""},
		{"not in time", "0.01", Admission{Accepted: true}, nil, 504,
			`{"status":"accepted","packet_id":"p-1","error":"no analyzer has acknowledged it in time; it is still owned and may yet be delivered"}`, ""},
		{"no wait at all", "0", Admission{Accepted: true}, nil, 202, `{"status":"accepted","packet_id":"p-1"}`, ""},
		{"unavailable", "5", Admission{Accepted: true}, &Outcome{Code: protocol.NackUnavailable}, 503, `{"error":"unavailable: no analyzer took the packet; send it again later"}`, "1"},
		{"invalid for the analyzer", "5", Admission{Accepted: true}, &Outcome{Code: protocol.NackInvalid}, 400, `{"error":"body: is no valid LogPacket","field":"body"}`, ""},
		{"too large for the analyzer", "5", Admission{Accepted: true}, &Outcome{Code: protocol.NackTooLarge}, 413, `{"error":"body: is too large for every analyzer","field":"body"}`, ""},
		{"dead letter", "5", Admission{Accepted: true}, &Outcome{Kept: true, Code: protocol.NackUnavailable}, 202,
			`{"status":"accepted","packet_id":"p-1","error":"no analyzer has acknowledged it; it is kept as a dead letter and will be delivered later"}`, ""},
		{"invalid, and kept", "5", Admission{Accepted: true}, &Outcome{Kept: true, Code: protocol.NackInvalid}, 400, `{"error":"body: is no valid LogPacket","field":"body"}`, ""},
		{"no room for a dead letter", "5", Admission{Code: protocol.NackBusy, Reason: "busy: no room", RetryAfter: time.Second}, nil, 503, `{"error":"busy: no room"}`, "1"},
		{"busy", "5s", Admission{Code: protocol.NackBusy, RetryAfter: 1500 * time.Millisecond}, nil, 503, `{"error":"busy: the packet was not taken; send it again later"}`, "2"},
		{"draining", "5s", Admission{Code: protocol.NackDraining}, nil, 503, `{"error":"draining: the distributor is stopping; send it again later"}`, "1"},
		{"negative", "-1s", Admission{Accepted: true}, nil, 400, `{"error":"wait: must be a duration up to 60s, such as 5s or 0.5","field":"wait"}`, ""},
		{"too long", "61s", Admission{Accepted: true}, nil, 400, `{"error":"wait: must be a duration up to 60s, such as 5s or 0.5","field":"wait"}`, ""},
		{"too long, bare", "1e30", Admission{Accepted: true}, nil, 400, `{"error":"wait: must be a duration up to 60s, such as 5s or 0.5","field":"wait"}`, ""},
		{"no number", "NaN", Admission{Accepted: true}, nil, 400, `{"error":"wait: must be a duration up to 60s, such as 5s or 0.5","field":"wait"}`, ""},
		{"empty", "", Admission{Accepted: true}, nil, 400, `{"error":"wait: must be a duration up to 60s, such as 5s or 0.5","field":"wait"}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake()
			f.admit, f.outcome = tc.admit, tc.outcome
			a := send(t, start(t, f, nil), "POST", "/ingest?wait="+tc.wait, []byte(packet))
			if a.status != tc.status || strings.TrimSpace(a.body) != tc.body || a.header.Get("Retry-After") != tc.retry {
				t.Errorf("got %d %q %s", a.status, a.header.Get("Retry-After"), a.body)
			}
		})
	}
}

func TestContentEncoding(t *testing.T) {
	f := newFake()
	s := start(t, f, nil)
	zeros := make([]byte, 1<<20+1)
	for _, tc := range []struct {
		name string
		pack func([]byte) []byte
	}{
		{"gzip", gzipped}, {"zstd", zstandard}, {"s2", s2Stream},
		{"s2", func(b []byte) []byte { return s2.Encode(nil, b) }},
	} {
		if a := post(t, s, string(tc.pack([]byte(packet))), "Content-Encoding", tc.name); a.status != 202 {
			t.Errorf("%s: %+v", tc.name, a)
		}
		if a := post(t, s, string(tc.pack(binaryPacket())), "Content-Encoding", tc.name, "Content-Type", "application/msgpack"); a.status != 202 || !bytes.Equal(f.last(t), binaryPacket()) {
			t.Errorf("%s of msgpack: %+v", tc.name, a)
		}
		before := f.accepted()
		packed := tc.pack(zeros)
		if a := post(t, s, string(packed), "Content-Encoding", tc.name); a.status != 413 || !strings.Contains(a.body, "1048576 bytes after inflating") {
			t.Errorf("%s bomb of %d bytes: %+v", tc.name, len(packed), a)
		}
		if a := post(t, s, string(tc.pack([]byte(packet))[:40]), "Content-Encoding", tc.name); a.status != 400 || !strings.Contains(a.body, `"field":"body"`) {
			t.Errorf("%s cut: %+v", tc.name, a)
		}
		if a := post(t, s, packet, "Content-Encoding", tc.name); a.status != 400 && a.status != 413 {
			t.Errorf("%s that is none: %+v", tc.name, a)
		}
		if f.accepted() != before {
			t.Errorf("%s: something bad was accepted", tc.name)
		}
	}
}

func gzipped(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(b)
	_ = w.Close()
	return buf.Bytes()
}

func zstandard(b []byte) []byte {
	w, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	defer w.Close()
	return w.EncodeAll(b, nil)
}

func s2Stream(b []byte) []byte {
	var buf bytes.Buffer
	w := s2.NewWriter(&buf)
	_, _ = w.Write(b)
	_ = w.Close()
	return buf.Bytes()
}

func TestOtherPaths(t *testing.T) {
	f := newFake()
	s := start(t, f, nil)
	for _, tc := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/stats", 200, `"received_packets":7`},
		{"GET", "/health", 200, `"status":"healthy"`},
		{"GET", "/healthz", 200, `{"status":"alive"}`},
		{"GET", "/readyz", 200, `{"status":"ready"}`},
		{"HEAD", "/healthz", 200, ""},
		{"GET", "/", 404, `"error"`},
		{"GET", "/ingest", 405, `only POST is served here`},
		{"POST", "/stats", 405, `only GET is served here`},
	} {
		a := send(t, s, tc.method, tc.path, nil)
		if a.status != tc.status || !strings.Contains(a.body, tc.body) || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %+v", tc.method, tc.path, a)
		}
	}
	f.health.Status = stats.Degraded
	if a := send(t, s, "GET", "/health", nil); a.status != 200 {
		t.Errorf("degraded: %+v", a)
	}
	f.health.Status = stats.Unhealthy
	if a := send(t, s, "GET", "/health", nil); a.status != 503 || !strings.Contains(a.body, `"unhealthy"`) {
		t.Errorf("unhealthy: %+v", a)
	}
	if a := send(t, s, "GET", "/readyz", nil); a.status != 503 {
		t.Errorf("unhealthy: %+v", a)
	}
}

func TestPanicCostsOneRequest(t *testing.T) {
	f := newFake()
	f.panics = true
	s := start(t, f, nil)
	if a := post(t, s, packet); a.status != 500 || a.body != `{"error":"internal error"}`+"\n" {
		t.Errorf("%+v", a)
	}
	if a := send(t, s, "GET", "/healthz", nil); a.status != 200 {
		t.Errorf("%+v", a)
	}
}

// /ingest at its limit answers 503, and the other paths answer.
func TestIngestNeverStarvesTheRest(t *testing.T) {
	f := newFake()
	f.block, f.entered = make(chan struct{}), make(chan struct{}, 8)
	s := start(t, f, func(c *Config) { c.Concurrency = 4 }) // 3 in /ingest
	answers := make(chan int, 3)
	for range 3 {
		go func() { answers <- postStatus(s) }()
		<-f.entered
	}
	if a := post(t, s, packet); a.status != 503 || a.header.Get("Retry-After") != "1" {
		t.Errorf("past the limit: %+v", a)
	}
	// One idle connection takes the last ordinary place; all others are late.
	idle, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	for _, path := range []string{"/stats", "/health", "/healthz", "/readyz"} {
		if a := send(t, s, "GET", path, nil); a.status != 200 {
			t.Errorf("%s: %+v", path, a)
		}
	}
	if a := post(t, s, packet); a.status != 503 || a.header.Get("Retry-After") != "1" {
		t.Errorf("late: %+v", a)
	}
	close(f.block)
	for range 3 {
		if status := <-answers; status != 202 {
			t.Errorf("one that was in time got %d", status)
		}
	}
}

func postStatus(s *Server) int {
	resp, err := client.Post("http://"+s.Addr().String()+"/ingest", "application/json", strings.NewReader(packet))
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestTooManyConnectionsAreTurnedAway(t *testing.T) {
	s := start(t, newFake(), func(c *Config) { c.Concurrency = 1 })
	for range 1 + lateConnections(1) {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	// Connections are accepted in the order in which they were made.
	got := raw(t, s, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "\r\nRetry-After: 1\r\n") {
		t.Errorf("got %q", got)
	}
}

func TestBudgetOfMemory(t *testing.T) {
	s := start(t, newFake(), nil)
	all := s.memory.left.Load()
	if !s.memory.tryTake(int(all) - 100) {
		t.Fatal("the budget is not there")
	}
	if a := post(t, s, packet); a.status != 503 || a.header.Get("Retry-After") != "1" {
		t.Errorf("%+v", a)
	}
	s.memory.give(int(all) - 100)
	if a := post(t, s, packet); a.status != 202 {
		t.Errorf("%+v", a)
	}
}

func TestPortInUse(t *testing.T) {
	s := start(t, newFake(), nil)
	_, err := New(Config{Listen: s.Addr().String(), Logger: quiet}, newFake())
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Errorf("%v", err)
	}
}

// Shutdown ends waits, idle connections, and what is still open when its time
// is over.
func TestShutdown(t *testing.T) {
	f := newFake()
	s := start(t, f, nil)
	keep := &http.Client{Transport: &http.Transport{}}
	defer keep.CloseIdleConnections()
	if resp, err := keep.Get("http://" + s.Addr().String() + "/healthz"); err != nil {
		t.Fatal(err)
	} else {
		resp.Body.Close()
	}
	f.entered = make(chan struct{}, 1)
	waiting := make(chan answer, 1)
	go func() { waiting <- send(t, s, "POST", "/ingest?wait=60", []byte(packet)) }()
	<-f.entered
	half, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	fmt.Fprintf(half, "POST /ingest HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{")
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if a := <-waiting; a.status != 504 || !strings.Contains(a.body, "stopped") {
		t.Errorf("%+v", a)
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("connections are still accepted")
	}
	unstarted, err := New(Config{Listen: "127.0.0.1:0", Logger: quiet}, f)
	if err != nil {
		t.Fatal(err)
	}
	if err := unstarted.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestErrorsAreJSON(t *testing.T) {
	s := start(t, newFake(), nil)
	a := post(t, s, `{"packet_id":"\"<&`)
	var e struct{ Error, Field string }
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Field != "body" {
		t.Errorf("%v in %s", err, a.body)
	}
}

func TestRefusalsAreCounted(t *testing.T) {
	f := newFake()
	s := start(t, f, nil)
	get := func(method, path, contentType, body string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+s.Addr().String()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	get("GET", "/nowhere", "", "")
	get("GET", "/ingest", "", "")
	get("POST", "/ingest", "text/html", "x")
	get("POST", "/ingest", "application/json", "x")
	get("POST", "/ingest", "application/json", "y")
	valid := `{"packet_id":"p","agent_id":"a","messages":[]}`
	for _, a := range []Admission{{Code: protocol.NackBusy}, {Code: protocol.NackDraining}, {Code: protocol.NackBusy, Reason: "no room"}} {
		f.admit = a
		get("POST", "/ingest", "application/json", valid)
	}
	h := s.counts.snapshot()
	want := map[string]uint64{"not_found": 1, "wrong_method": 1, "wrong_type": 1, "malformed": 2, "busy": 1, "draining": 1, "dead_letters": 1}
	for name, n := range h.Refused {
		if n != want[name] {
			t.Errorf("refused for %s: %d, want %d", name, n, want[name])
		}
	}
	if h.Requests != 8 || len(h.Refused) != int(reasons)-1 {
		t.Errorf("%d requests, %d reasons", h.Requests, len(h.Refused))
	}
}
