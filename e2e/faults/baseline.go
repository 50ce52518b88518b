package faults

import (
	"fmt"

	"sluice/e2e/harness"
)

// baseline is what a distributor holds when nothing is wrong; nothing may be
// left behind.
type baseline struct {
	sessions    uint64
	descriptors int
	goroutines  int
	rss         int // bytes
}

func (b baseline) String() string {
	return fmt.Sprintf("%d sessions, %d descriptors and %d goroutines", b.sessions, b.descriptors, b.goroutines)
}

// measure waits until every agent of the harness is connected, and says what
// the distributor holds then. Without the wait a baseline taken just after a
// start may lack an agent that is still backing off, and would never be
// reached again.
func measure(r *harness.Run) baseline {
	agents := uint64(r.Agents())
	r.Await(fmt.Sprintf("the %d agents are connected", agents), func() bool { return r.Stats(0).Sessions >= agents })
	return held(r)
}

// held is what the distributor holds now.
func held(r *harness.Run) baseline {
	d := r.S.Distributors[0]
	p := d.Process()
	return baseline{r.Stats(0).Sessions, value(r, p.Descriptors), value(r, d.Goroutines), value(r, p.RSS)}
}

// ours is how many connections of the harness to /stats may have come since a
// baseline: each is a descriptor and a goroutine.
const ours = 8

// awaitBaseline waits until sessions, descriptors and goroutines are what they
// were.
func awaitBaseline(r *harness.Run, was baseline) {
	r.AwaitSaying(func() (string, bool) {
		now := held(r)
		return fmt.Sprintf("%v are left; there were %v", now, was),
			now.sessions <= was.sessions && now.descriptors <= was.descriptors+ours && now.goroutines <= was.goroutines+ours
	})
}
