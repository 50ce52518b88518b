package node

import (
	"strings"
	"testing"

	"sluice/internal/await"
	"sluice/server/health"
)

// lastError is what is known of an analyzer that cannot be used.
func lastError(n *Node, analyzer int) string { return n.health.Status()[analyzer].LastError }

// freePort is an address that will be listened on.
func freePort(t *testing.T) string { return deadAddr(t) }

// A distributor among its own analyzers: the real one gets everything, and the
// other is never one.
func TestADistributorThatFeedsItself(t *testing.T) {
	addr := freePort(t)
	real, packets := startAnalyzer(t)
	cfg := settings(t, real, addr)
	cfg.Listen = addr
	n := start(t, cfg)
	await.True(t, "the loop to be found", func() bool { return strings.Contains(lastError(n, 1), "forwarding loop") })
	await.True(t, "the analyzer up", func() bool { return n.health.Status()[0].State == health.Up })
	for _, id := range []string{"1", "2", "3", "4"} {
		deliver(t, n, id)
		if got := await.Value(t, "packet", packets); got != id {
			t.Errorf("packet %s, want %s", got, id)
		}
	}
	if s := n.health.Status()[1]; s.State != health.Down {
		t.Errorf("it is %s", s.State)
	}
}

// Two that name each other, whichever comes first: packets never come back.
func TestTwoDistributorsThatFeedEachOther(t *testing.T) {
	first, second := freePort(t), freePort(t)
	real, _ := startAnalyzer(t)
	begin := func(listen string, analyzers ...string) *Node {
		cfg := settings(t, analyzers...)
		cfg.Listen = listen
		return start(t, cfg)
	}
	a := begin(first, second, real)
	b := begin(second, first)
	await.True(t, "the loop to be found", func() bool {
		return strings.Contains(lastError(a, 0)+lastError(b, 0), "forwarding loop")
	})
	await.True(t, "one that is not in the loop", func() bool { return a.health.Status()[1].State == health.Up })
	// At most one direction is left, so nothing can run in circles.
	await.True(t, "one direction at most", func() bool {
		return a.health.Status()[0].State != health.Up || b.health.Status()[0].State != health.Up
	})
}

// A chain is no loop.
func TestADistributorThatFeedsAnother(t *testing.T) {
	real, packets := startAnalyzer(t)
	behind := start(t, settings(t, real))
	before := start(t, settings(t, behind.Addr().String()))
	for _, n := range []*Node{behind, before} {
		await.True(t, "up", func() bool { return n.health.Status()[0].State == health.Up })
	}
	deliver(t, before, "1")
	if got := await.Value(t, "packet", packets); got != "1" {
		t.Errorf("packet %s", got)
	}
}
