package admin

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/await"
)

func start(t *testing.T) *Server {
	t.Helper()
	s, err := Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

var client = &http.Client{Timeout: await.Patience, Transport: &http.Transport{DisableKeepAlives: true}}

func get(t *testing.T, s *Server, path, host string) (status int, body []byte) {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// unpacked is a profile without its compression.
func unpacked(t *testing.T, body []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%v: %.80q", err, body)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestProfiles(t *testing.T) {
	await.LeavesNothing(t)
	s := start(t)
	for _, path := range []string{"/debug/pprof/heap", "/debug/pprof/goroutine", "/debug/pprof/allocs"} {
		if status, body := get(t, s, path, ""); status != 200 || !bytes.Contains(unpacked(t, body), []byte("server/admin")) {
			t.Errorf("%s: status %d", path, status)
		}
	}
	for path, want := range map[string]string{
		"/": "heap", "/debug/pprof/": "heap", "/debug/pprof/cmdline": "admin", "/debug/pprof/goroutine?debug=1": "server/admin", "/debug/pprof/symbol": "num_symbols",
	} {
		if status, body := get(t, s, path, ""); status != 200 || !bytes.Contains(body, []byte(want)) {
			t.Errorf("%s: status %d, %.200s", path, status, body)
		}
	}
	for _, path := range []string{"/stats", "/debug", "/debug/vars", "/ingest"} {
		if status, _ := get(t, s, path, ""); status != 404 {
			t.Errorf("%s: status %d", path, status)
		}
	}
}

// A page in a browser of this machine can make a name of its own lead here; it
// is not served what the memory holds.
func TestOnlyPlainHosts(t *testing.T) {
	s := start(t)
	for host, want := range map[string]int{
		"localhost:6060": 200, "localhost": 200, "127.0.0.1:6060": 200, "[::1]:6060": 200, "10.1.2.3": 200,
		"evil.example": 403, "evil.example:6060": 403, "127.0.0.1.evil.example:6060": 403, "localhost.evil.example": 403,
	} {
		if status, _ := get(t, s, "/debug/pprof/heap", host); status != want {
			t.Errorf("%s: status %d, want %d", host, status, want)
		}
	}
}

// A stop ends profiles that were to go on for an hour, and they are whole.
func TestShutdownEndsWhatRuns(t *testing.T) {
	await.LeavesNothing(t)
	s := start(t)
	type answer struct {
		body []byte
		err  error
	}
	running := make(chan answer, 1)
	go func() {
		resp, err := client.Get("http://" + s.Addr().String() + "/debug/pprof/profile?seconds=3600")
		if err != nil {
			running <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		running <- answer{body, err}
	}()
	await.True(t, "a running profile", func() bool { return len(s.slots) == 1 })
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	got := await.Value(t, "profile", running)
	if got.err != nil || !bytes.Contains(unpacked(t, got.body), []byte("samples")) {
		t.Errorf("%v, %d bytes", got.err, len(got.body))
	}
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		c.Close()
		t.Error("it still accepts")
	}
}

func TestFewAtATime(t *testing.T) {
	await.LeavesNothing(t)
	s := start(t)
	for range atATime { // as if so many were being served
		s.slots <- struct{}{}
	}
	if status, body := get(t, s, "/debug/pprof/", ""); status != 503 || !strings.Contains(string(body), "too many") {
		t.Errorf("status %d, %s", status, body)
	}
	<-s.slots
	if status, _ := get(t, s, "/debug/pprof/", ""); status != 200 {
		t.Errorf("status %d with one place free", status)
	}
	for range atATime - 1 {
		<-s.slots
	}
}

// Whoever sends half a request does not keep the connection.
func TestSlowHeader(t *testing.T) {
	s := start(t)
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "GET /debug/pprof/ HTTP/1.1\r\nHost: 127.0.0.1\r\n")
	if _, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("it was not closed: %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	await.LeavesNothing(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = Listen(taken.Addr().String(), slog.New(slog.DiscardHandler))
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v", err)
	}
}

// What was never started can be shut down: a node whose start failed does.
func TestShutdownBeforeStart(t *testing.T) {
	await.LeavesNothing(t)
	s, err := Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	again, err := net.Listen("tcp", s.Addr().String())
	if err != nil {
		t.Fatalf("the port is still bound: %v", err)
	}
	again.Close()
}
