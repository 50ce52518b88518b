package statusweb

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

type written struct {
	text string
	err  error
}

func (m *written) Write(w io.Writer) error {
	_, _ = io.WriteString(w, m.text)
	return m.err
}

func TestAnswers(t *testing.T) {
	var log bytes.Buffer
	metrics := &written{text: "up 1\n"}
	health := Health{Status: Healthy, Name: "n"}
	server := New(Source{Program: "test", Stats: func() any { return map[string]int{"packets": 7} }, Health: func() Health { return health },
		Metrics: metrics, Log: slog.New(slog.NewTextHandler(&log, nil))})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	ask := func(method, path string) (int, string, http.Header) {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+ln.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), resp.Header
	}
	check := func(method, path string, status int, body, header string) {
		t.Helper()
		s, b, h := ask(method, path)
		if s != status || b != body || !strings.HasPrefix(h.Get("Content-Type"), header) || h.Get("Server") != "sluice test" {
			t.Errorf("%s %s: %d %q %v", method, path, s, b, h)
		}
	}
	check("GET", "/stats", 200, "{\"packets\":7}\n", "application/json")
	check("HEAD", "/stats", 200, "", "application/json")
	check("GET", "/metrics", 200, "up 1\n", "text/plain")
	check("GET", "/health", 200, "{\"status\":\"healthy\",\"name\":\"n\"}\n", "application/json")
	check("GET", "/ingest", 404, "{\"error\":\"there are only /stats, /metrics and /health\"}\n", "application/json")
	check("POST", "/stats", 405, "{\"error\":\"only GET\"}\n", "application/json")
	health = Health{Status: Unhealthy, Reason: "stopping"}
	check("GET", "/health", 503, "{\"status\":\"unhealthy\",\"reason\":\"stopping\"}\n", "application/json")
	metrics.err = errors.New("half")
	check("GET", "/metrics", 500, "{\"error\":\"internal\"}\n", "application/json")
	http.DefaultClient.CloseIdleConnections()
	if err := errors.Join(server.Shutdown(), <-served); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "half") {
		t.Errorf("log %q", log.String())
	}
}
