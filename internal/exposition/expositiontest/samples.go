// Package expositiontest reads for tests what /metrics answers, and judges it
// as promtool would.
package expositiontest

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"sluice/internal/exposition"
)

// Samples are the answer to a scrape, by name.
type Samples map[string]*dto.MetricFamily

// Get scrapes a program: base is where its HTTP is, without a path. An answer
// that is not what Prometheus wants fails the test.
func Get(t testing.TB, base string) (s Samples, text []byte) {
	t.Helper()
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != exposition.ContentType {
		t.Fatalf("%v, status %d, %s: %.200s", err, resp.StatusCode, resp.Header.Get("Content-Type"), text)
	}
	return Parse(t, text), text
}

// Parse reads an answer, and fails the test if it is malformed or not by the
// conventions.
func Parse(t testing.TB, text []byte) Samples {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	return families
}

// Find returns the sample that has all the labels given, as name and value in
// turn, or nil.
func (s Samples) Find(name string, labels ...string) *dto.Metric {
	family, found := s[name]
	if !found {
		return nil
	}
	for _, m := range family.Metric {
		if hasAll(m, labels) {
			return m
		}
	}
	return nil
}

func hasAll(m *dto.Metric, labels []string) bool {
	have := map[string]string{}
	for _, l := range m.Label {
		have[l.GetName()] = l.GetValue()
	}
	for i := 0; i+1 < len(labels); i += 2 {
		if value, found := have[labels[i]]; !found || value != labels[i+1] {
			return false
		}
	}
	return true
}

// Value is the number of a counter or gauge; one that is missing fails the test.
func (s Samples) Value(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	m := s.Find(name, labels...)
	switch {
	case m == nil:
		t.Fatalf("no %s%v", name, labels)
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	}
	t.Fatalf("%s is neither a counter nor a gauge", name)
	return 0
}
