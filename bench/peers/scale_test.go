package main

import (
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/bench/cost"
)

// TestScaleStrideVisitsEveryPoint holds the stride against the grid.
func TestScaleStrideVisitsEveryPoint(t *testing.T) {
	n := len(cost.Grid())
	seen := map[int]bool{}
	for k := range n {
		seen[k*scaleStride%n] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d points are visited", len(seen), n)
	}
}

// TestScaleGoesOn checks which files a measurement goes on from.
func TestScaleGoesOn(t *testing.T) {
	c := scaleCmd{Runs: 2, Duration: time.Second, JSON: filepath.Join(t.TempDir(), "new", "scale.json")}
	begun, err := c.load(t.Context())
	if err != nil || len(begun.Points) != len(cost.Grid()) {
		t.Fatalf("no file: %d points, error %v", len(begun.Points), err)
	}
	begun.Points[7].Runs = []sample{{Round: 1, CPU: 3}}
	save := func() {
		t.Helper()
		if err := writeJSON(c.JSON, begun); err != nil {
			t.Fatal(err)
		}
	}
	save()
	again, err := c.load(t.Context())
	if err != nil || len(again.Points[7].Runs) != 1 || again.Points[7].Runs[0].CPU != 3 {
		t.Fatalf("a file that was begun: %+v, error %v", again, err)
	}

	here := begun.About.Commit
	begun.About.Commit = "elsewhere"
	save()
	if _, err := c.load(t.Context()); err == nil {
		t.Error("runs of two commits were mixed")
	}
	for i := range begun.Points {
		begun.Points[i].Runs = make([]sample, c.Runs)
	}
	save()
	if _, err := c.load(t.Context()); err != nil {
		t.Errorf("a file that is complete, of another commit, was not read: %v", err)
	}

	begun.About.Commit = here
	begun.Points[3].Agents++
	save()
	if _, err := c.load(t.Context()); err == nil {
		t.Error("a file of another grid was read")
	}
}

// TestScaleReport writes a report of made-up runs.
func TestScaleReport(t *testing.T) {
	runs := &scaleRuns{About: about{Commit: "abc", Rounds: 3, Seconds: 1}}
	for _, p := range cost.Grid() {
		point := scalePoint{Point: p}
		for round := range 3 {
			cpu := 0.1 + float64(p.Size)/1024*(0.8+0.1*float64(round))
			if p.Rate > 0 {
				cpu += 20
			}
			point.Runs = append(point.Runs, sample{Round: round + 1, CPU: cpu, Reads: 0.5, Writes: 0.5, PeakRSS: 20 << 20})
		}
		runs.Points = append(runs.Points, point)
	}
	// One point that nothing explains.
	odd := &runs.Points[0]
	for i := range odd.Runs {
		odd.Runs[i].CPU *= 10
	}
	m, err := runs.fit()
	if err != nil {
		t.Fatal(err)
	}
	text := m.markdown("docs/scale.svg")
	for _, want := range []string{"at commit abc", "(scale.svg)", "## Predictions, not measurements", "| 64 | 32, default | 64 KiB |", "| 16 | 16 KiB |", "- " + odd.String() + ": measured", "held out"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "%!") {
		t.Errorf("a figure is none:\n%s", text)
	}
	tables := 0
	columns := 0
	for line := range strings.Lines(text) {
		n := strings.Count(line, "|")
		if n > 0 && columns == 0 {
			tables++
		}
		if n > 0 && columns > 0 && n != columns {
			t.Errorf("%d separators after %d: %s", n, columns, line)
		}
		columns = n
	}
	if tables < 7 {
		t.Errorf("%d tables", tables)
	}

	chart := m.chart()
	points := strings.Count(string(chart), "<circle")
	if want := len(cost.Grid()) + 2; points != want {
		t.Errorf("%d circles, want %d with the legend", points, want)
	}
	for d := xml.NewDecoder(strings.NewReader(string(chart))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
