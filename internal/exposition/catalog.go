package exposition

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Catalog is all that a program can tell, in the order of its declaration.
// Programs declare theirs in package variables and never change them again.
// Immutable from then on.
type Catalog struct{ metrics []*Metric }

// Metric is one name with its help text and the names of its labels. Immutable.
type Metric struct {
	Name, Help string
	Labels     []string
	kind       prometheus.ValueType
	desc       *prometheus.Desc
}

// Counter declares what only grows while the program runs. The name ends with
// _total.
func (c *Catalog) Counter(name, help string, labels ...string) *Metric {
	return c.declare(name, help, prometheus.CounterValue, labels)
}

// Gauge declares what comes and goes.
func (c *Catalog) Gauge(name, help string, labels ...string) *Metric {
	return c.declare(name, help, prometheus.GaugeValue, labels)
}

// Histogram declares a distribution; it is told by [Scrape.Distribution].
func (c *Catalog) Histogram(name, help string, labels ...string) *Metric {
	return c.declare(name, help, prometheus.UntypedValue, labels)
}

// Names returns all names, in the order of their declaration.
func (c *Catalog) Names() []string {
	names := make([]string, len(c.metrics))
	for i, m := range c.metrics {
		names[i] = m.Name
	}
	return names
}

func (c *Catalog) declare(name, help string, kind prometheus.ValueType, labels []string) *Metric {
	if slices.Contains(c.Names(), name) {
		panic("exposition: " + name + " is declared twice") // in a package variable, so at the first start after the mistake
	}
	m := &Metric{Name: name, Help: help, Labels: labels, kind: kind, desc: prometheus.NewDesc(name, help, labels, nil)}
	c.metrics = append(c.metrics, m)
	return m
}
