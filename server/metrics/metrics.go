// Package metrics says in Prometheus' words what /stats says in JSON: the same
// snapshot, taken once for each scrape, field by field. A test walks the JSON
// and fails where a field has no metric.
//
// What is text for people (reasons, last errors) does not become a label: each
// new text would be a new time series. It is in /stats; here are the state, the
// flag or the count that it explains.
package metrics

import (
	"sluice/internal/exposition"
	"sluice/server/stats"
)

// catalog holds every metric of a distributor. Immutable.
var catalog exposition.Catalog

// New answers scrapes with what take returns: the distributor as it is now.
func New(take func() stats.Snapshot) *exposition.Exposition {
	return exposition.New("server", &catalog, func(s *exposition.Scrape) {
		snapshot := take()
		sayTraffic(s, &snapshot)
		sayRoom(s, &snapshot)
		sayConfig(s, &snapshot)
		sayDeadLetters(s, &snapshot.DeadLetters)
		sayPeers(s, &snapshot)
		// Two samples with the same labels would cost the whole scrape. Names are
		// unique in a configuration; should ever a second analyzer of a name be
		// told, such as one on its way out, the first one stands for it.
		said := make(map[string]bool, len(snapshot.Analyzers))
		for i := range snapshot.Analyzers {
			if a := &snapshot.Analyzers[i]; !said[a.Name] {
				said[a.Name] = true
				sayAnalyzer(s, a)
			}
		}
	})
}
