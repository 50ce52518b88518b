package sim

import (
	"log/slog"
	"time"

	"sluice/server/health"
)

// newMonitor makes the real health monitor, on the world's clock.
func newMonitor(d *distributor) *health.Monitor {
	names := make([]string, len(d.w.analyzers))
	for i, a := range d.w.analyzers {
		names[i] = a.name
	}
	return health.New(health.Config{
		Names: names, Weights: d.w.knobs.weights, Loops: len(d.loops), SlowStart: d.w.knobs.slowStart,
		Now:     func() time.Time { return time.Unix(1_700_000_000, 0).Add(d.w.now) },
		Publish: d.publish,
		Log:     slog.New(slog.DiscardHandler),
	})
}

// isUp says whether the distributor gives an analyzer its full weight.
func (d *distributor) isUp(analyzer int) bool {
	return d.health.Status()[analyzer].State == health.Up
}
