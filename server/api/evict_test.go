package api

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/internal/await"
)

// Connections that say nothing, or stop in the middle of a body, keep nobody out:
// whoever comes takes the place of the one that has waited longest.
func TestWhoSaysNothingKeepsNobodyOut(t *testing.T) {
	const limit = 16
	f := newFake()
	s := start(t, f, func(c *Config) { c.Concurrency = limit })
	var oldest net.Conn
	for i := range 2 * limit {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if oldest == nil {
			oldest = c
		}
		if i%2 == 0 {
			if _, err := c.Write([]byte("POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20000\r\n\r\n{")); err != nil {
				t.Fatal(err)
			}
		}
	}
	await.True(t, "a sender to get in", func() bool {
		resp, err := client.Post("http://"+s.Addr().String()+"/ingest", "application/json", strings.NewReader(packet))
		if err != nil {
			return false // turned away before it had spoken
		}
		resp.Body.Close()
		return resp.StatusCode == 202
	})
	for range 3 {
		if a := send(t, s, "GET", "/healthz", nil); a.status != 200 {
			t.Errorf("/healthz: %+v", a)
		}
		if a := post(t, s, packet); a.status != 202 {
			t.Errorf("/ingest: %+v", a)
		}
	}
	if err := oldest.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	if told, err := io.ReadAll(oldest); err != nil || string(told) != turnedAwayText {
		t.Errorf("one that had to leave is told %q, %v", told, err)
	}
	if n := s.ln.count.Load(); n > limit+int64(lateConnections(limit)) {
		t.Errorf("%d connections are counted", n)
	}
}

// A request that waits for us is never evicted.
func TestWhoWaitsForUsIsKept(t *testing.T) {
	f := newFake()
	f.block, f.entered = make(chan struct{}), make(chan struct{}, 1)
	s := start(t, f, func(c *Config) { c.Concurrency = 1 })
	answered := make(chan answer, 1)
	go func() { answered <- post(t, s, packet) }()
	await.Value(t, "the request", f.entered)
	s.ln.mu.Lock()
	for c := range s.ln.open {
		if at := c.waitsSince.Load(); at != 0 {
			t.Errorf("its connection counts as one that keeps us waiting, since %d", at)
		}
	}
	s.ln.mu.Unlock()
	close(f.block)
	if a := await.Value(t, "the answer", answered); a.status != 202 {
		t.Errorf("the request that waited: %+v", a)
	}
}
