package exposition

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Scrape is one answer in the making. Owned by the call that it was given to.
type Scrape struct{ samples []prometheus.Metric }

// Number says the value of a counter or a gauge. labels are in the order of
// their declaration.
func (s *Scrape) Number(m *Metric, value float64, labels ...string) {
	sample, err := prometheus.NewConstMetric(m.desc, m.kind, value, printable(labels)...)
	s.add(m, sample, err)
}

// Flag says 1 or 0.
func (s *Scrape) Flag(m *Metric, value bool, labels ...string) {
	n := 0.0
	if value {
		n = 1
	}
	s.Number(m, n, labels...)
}

// OneOf says of each state whether it is the one that holds: 1 for it, 0 for
// all others, so that one that ends is seen to end. The state is the last label.
func (s *Scrape) OneOf(m *Metric, states []string, holds string, labels ...string) {
	for _, state := range states {
		s.Flag(m, state == holds, append(labels[:len(labels):len(labels)], state)...)
	}
}

// Distribution says a histogram: count and sum over everything, and how much of
// it is at most each of the bounds. The map is kept until the scrape is done.
func (s *Scrape) Distribution(m *Metric, count uint64, sum float64, upTo map[float64]uint64, labels ...string) {
	sample, err := prometheus.NewConstHistogram(m.desc, count, sum, upTo, printable(labels)...)
	s.add(m, sample, err)
}

// add keeps a mistake as a sample that says so: the scrape then fails as a whole.
func (s *Scrape) add(m *Metric, sample prometheus.Metric, err error) {
	if err != nil {
		sample = prometheus.NewInvalidMetric(m.desc, err)
	}
	s.samples = append(s.samples, sample)
}

// printable replaces what is no UTF-8 in place, which the format cannot carry.
func printable(labels []string) []string {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\ufffd")
	}
	return labels
}
