package api

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"sluice/protocol"
	"sluice/server/stats"
)

// fake is a Backend that keeps what it is given and answers as told.
type fake struct {
	mu       sync.Mutex
	bodies   [][]byte
	messages []int
	admit    Admission
	outcome  *Outcome // nil: none ever comes
	health   stats.Health
	block    chan struct{} // Submit waits for it, if not nil
	entered  chan struct{} // told of each Submit, if not nil
	panics   bool

	statsPanic bool
}

func newFake() *fake {
	return &fake{admit: Admission{Accepted: true}, health: stats.Health{Status: stats.Healthy}}
}

func (f *fake) Sender(netip.Addr) Sender { return f }
func (f *fake) Close()                   {}

func (f *fake) Submit(body []byte, messages int, done func(Outcome)) Admission {
	if f.entered != nil {
		f.entered <- struct{}{}
	}
	if f.block != nil {
		<-f.block
	}
	if f.panics {
		panic("as the test wants")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.admit.Accepted {
		f.bodies = append(f.bodies, bytes.Clone(body))
		f.messages = append(f.messages, messages)
		if done != nil && f.outcome != nil {
			go done(*f.outcome) // a loop's goroutine
		}
	}
	clear(body) // it was borrowed
	return f.admit
}

func (f *fake) accepted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.bodies)
}

func (f *fake) last(t *testing.T) []byte {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.bodies) == 0 {
		t.Fatal("nothing was submitted")
	}
	return f.bodies[len(f.bodies)-1]
}

func (f *fake) Stats() stats.Snapshot {
	if f.statsPanic {
		panic("as the test wants")
	}
	return stats.Snapshot{ReceivedPackets: 7}
}
func (f *fake) Health() stats.Health { return f.health }
func (f *fake) Ready() bool          { return f.health.Status != stats.Unhealthy }

var quiet = slog.New(slog.DiscardHandler)

func start(t *testing.T, backend Backend, change func(*Config)) *Server {
	t.Helper()
	cfg := Config{Listen: "127.0.0.1:0", MaxBody: 1 << 20, MaxFrame: 256 << 10, Logger: quiet}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg, backend)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
		if left := s.memory.left.Load(); left != s.cfg.BodyMemory {
			t.Errorf("%d bytes of the budget were not given back", s.cfg.BodyMemory-left)
		}
	})
	return s
}

// client makes a connection for each request, so that none outlives its test.
var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, s *Server, method, target string, body []byte, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+s.Addr().String()+target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func post(t *testing.T, s *Server, body string, headers ...string) answer {
	t.Helper()
	return send(t, s, "POST", "/ingest", []byte(body), headers...)
}

// raw sends bytes as they are and reads until the server closes.
func raw(t *testing.T, s *Server, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(c, request) // the server may stop listening half-way
	}()
	got, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("the answer was cut short by %v after %q", err, got)
	}
	c.Close()
	<-written
	return string(got)
}

const packet = `{"packet_id":"p-1","agent_id":"a-1","messages":[{"timestamp":"2026-01-02T03:04:05Z","level":"INFO","source":"shell","message":"hello"}]}`

func binaryPacket() []byte {
	return protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "p-2", AgentID: "a-1", Messages: []protocol.LogMessage{
		{Timestamp: protocol.ParseTimestamp("2026-01-02T03:04:05Z"), Level: protocol.LevelInfo, Source: "shell", Message: "hello"}}})
}
