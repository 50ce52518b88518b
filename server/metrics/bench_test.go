package metrics

import (
	"fmt"
	"io"
	"slices"
	"testing"

	"sluice/server/stats"
)

// BenchmarkWrite is a scrape without sockets and loops, by the number of
// analyzers: each is some 45 samples, of which 20 are its histogram.
func BenchmarkWrite(b *testing.B) {
	for _, analyzers := range []int{4, 100, 1000} {
		b.Run(fmt.Sprintf("analyzers=%d", analyzers), func(b *testing.B) {
			snapshot := filled(b, true)
			snapshot.Analyzers = slices.Repeat(snapshot.Analyzers[:1], analyzers)
			for i := range snapshot.Analyzers {
				snapshot.Analyzers[i].Name = fmt.Sprint("analyzer-", i)
			}
			e := New(func() stats.Snapshot { return snapshot })
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Write(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
