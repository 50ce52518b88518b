// Package exposition is how every program of Sluice answers GET /metrics, in
// the text format of Prometheus: what the program itself counts, and what the
// Go runtime and the process cost.
//
// No counter of the Prometheus library is ever incremented. A program counts in
// its own way, and says the numbers when somebody asks: a scrape takes one
// snapshot, makes samples of it, and forgets them.
package exposition

import (
	"fmt"
	"io"
	"regexp"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"sluice/internal/cli"
)

// ContentType is that of the answer.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// common is what every program tells.
var common Catalog

var build = common.Gauge("sluice_build_info", "Always 1; the labels name the program and what it was built from.", "program", "version", "goversion", "platform")

// Exposition answers scrapes for one program. Safe for concurrent use.
type Exposition struct {
	catalog  *Catalog
	take     func(*Scrape)
	about    Scrape // what never changes
	registry *prometheus.Registry

	mu     sync.Mutex // one scrape at a time
	scrape Scrape
}

// New makes the Exposition of a program. take is called once for each scrape,
// by whoever called Write, and never twice at a time; it says every sample that
// there is at the moment.
func New(program string, catalog *Catalog, take func(*Scrape)) *Exposition {
	e := &Exposition{catalog: catalog, take: take, registry: prometheus.NewRegistry()}
	version, goVersion, platform := cli.Build()
	e.about.Number(build, 1, program, version, goVersion, platform)
	e.registry.MustRegister(collector{e}, // fails only if two collectors have one name, which a test would see
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		// Its unit is percent, which is none that Prometheus wants.
		collectors.NewGoCollector(collectors.WithoutGoCollectorRuntimeMetrics(regexp.MustCompile("^/gc/gogc:percent$"))))
	return e
}

// Write writes the answer to a scrape. On an error what was written is not to
// be used; a w that does not fail makes it a bug of the program.
//
// The samples are made before the registry gathers them, in this goroutine: the
// registry asks its collectors in goroutines of its own, where a panic would end
// the process instead of one request.
func (e *Exposition) Write(w io.Writer) error {
	families, err := e.gather()
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	return nil
}

func (e *Exposition) gather() ([]*dto.MetricFamily, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer func() {
		clear(e.scrape.samples)
		e.scrape.samples = e.scrape.samples[:0]
	}()
	e.take(&e.scrape)
	return e.registry.Gather()
}

// collector hands the samples of a scrape to the registry, which sorts them and
// finds contradictions. Safe for concurrent use, as far as its Exposition is.
type collector struct{ e *Exposition }

// Describe is called by the registry.
func (c collector) Describe(descs chan<- *prometheus.Desc) {
	for _, catalog := range []*Catalog{&common, c.e.catalog} {
		for _, m := range catalog.metrics {
			descs <- m.desc
		}
	}
}

// Collect is called by the registry.
func (c collector) Collect(samples chan<- prometheus.Metric) {
	for _, scrape := range []*Scrape{&c.e.about, &c.e.scrape} {
		for _, s := range scrape.samples {
			samples <- s
		}
	}
}
