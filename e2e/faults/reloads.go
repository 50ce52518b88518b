package faults

import (
	"sluice/e2e/harness"
)

// reloaded is F6: ten reloads in a row under load, each seen in /stats. Weights
// change with each; the last analyzer leaves and returns, five times. Then all
// are there, and the shares are those of the last weights, exactly. A bad file in
// between changes nothing.
func reloaded(r *harness.Run) {
	const inARow = 10
	s := r.Start(harness.Options{File: true, Env: steady()})
	r.Load(harness.Load{Clients: 4, Plain: 2, Rate: 8000})
	d := s.Distributors[0]
	was := measure(r)
	generation := r.Stats(0).ConfigGeneration
	all := s.Analyzers
	var worst float64
	r.Each(func(int) {
		for k := range inARow {
			there := all
			if k%2 == 0 {
				there = all[:len(all)-1]
			}
			for _, a := range all {
				a.Weight = float64(1 + r.Rand.IntN(100))
			}
			r.Must(d.Reload(there))
			generation++
			r.Await("the reload is in /stats", func() bool { return r.Stats(0).ConfigGeneration == generation })
			if st := r.Stats(0); len(st.Analyzers) != len(there) || st.ConfigLastError != "" {
				r.Fail("reload %d: %d analyzers in /stats, want %d; error %q", generation, len(st.Analyzers), len(there), st.ConfigLastError)
			}
		}
		r.Fired()
		r.Must(d.Spoil())
		r.Await("the bad file is in /stats", func() bool { return r.Stats(0).ConfigLastError != "" })
		if now := r.Stats(0).ConfigGeneration; now != generation {
			r.Fail("a bad file is generation %d, after %d", now, generation)
		}
		r.AwaitUp(all[len(all)-1])
		worst = max(worst, measureShares(r, 10_000))
	})
	awaitBaseline(r, was)
	r.See("%d reloads; shares of the last weights within %.3f %% of all; %v at first, %v at the end", generation-1, worst, was, held(r))
}
