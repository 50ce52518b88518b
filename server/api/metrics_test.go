package api

import (
	"strings"
	"testing"

	"sluice/internal/exposition"
	"sluice/internal/exposition/expositiontest"
)

func TestMetrics(t *testing.T) {
	s := start(t, newFake(), nil)
	send(t, s, "GET", "/nowhere", nil)
	m, text := expositiontest.Get(t, "http://"+s.Addr().String())
	for metric, want := range map[string]float64{"sluice_received_packets_total": 7, "sluice_http_requests_total": 2} {
		if got := m.Value(t, metric); got != want {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	if got := m.Value(t, "sluice_http_refused_requests_total", "reason", "not_found"); got != 1 {
		t.Errorf("%v refused, want 1", got)
	}
	if a := send(t, s, "HEAD", "/metrics", nil); a.status != 200 || a.body != "" || a.header.Get("Content-Type") != exposition.ContentType {
		t.Errorf("HEAD: %+v", a)
	}
	if a := send(t, s, "POST", "/metrics", nil); a.status != 405 || a.header.Get("Allow") != "GET" || !strings.Contains(a.body, `"error"`) {
		t.Errorf("POST: %+v", a)
	}
	if len(text) > 64<<10 {
		t.Errorf("%d bytes without any analyzer", len(text))
	}
}

// A snapshot that panics costs the request: the metrics are asked for in the
// request's own goroutine.
func TestAPanicOfMetricsCostsOneRequest(t *testing.T) {
	f := newFake()
	f.statsPanic = true
	s := start(t, f, nil)
	if a := send(t, s, "GET", "/metrics", nil); a.status != 500 {
		t.Errorf("%+v", a)
	}
	f.statsPanic = false
	if m, _ := expositiontest.Get(t, "http://"+s.Addr().String()); m.Value(t, "sluice_received_packets_total") != 7 {
		t.Error("the next scrape is not answered")
	}
}
