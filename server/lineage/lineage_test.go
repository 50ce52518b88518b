package lineage

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sluice/protocol"
)

// connect makes the connection from one distributor to another, as HELLO and
// WELCOME do.
func connect(from, to *Lineage) error {
	key := new(int)
	if err := to.AddSender(key, from.Via()); err != nil {
		return err
	}
	if err := from.AddReceiver(key, to.Reach()); err != nil {
		to.DropSender(key)
		return err
	}
	return nil
}

// One, two and three distributors in a ring: whichever connection comes last, it
// is refused.
func TestTheLastConnectionOfALoopIsRefused(t *testing.T) {
	for n := 1; n <= 3; n++ {
		for first := range n {
			for _, step := range []int{1, n - 1} {
				t.Run(fmt.Sprint(n, first, step), func(t *testing.T) {
					ring := make([]*Lineage, n)
					for i := range ring {
						ring[i] = New()
					}
					for k := range n {
						i := (first + k*step) % n
						err := connect(ring[i], ring[(i+1)%n])
						if last := k == n-1; errors.Is(err, ErrLoop) != last {
							t.Fatalf("connection %d of %d: %v", k+1, n, err)
						}
					}
				})
			}
		}
	}
}

// Both directions at once: at least one is refused.
func TestTwoThatConnectToEachOtherAtOnce(t *testing.T) {
	a, b := New(), New()
	ab, ba := new(int), new(int)
	viaA, viaB := a.Via(), b.Via()
	if err := errors.Join(b.AddSender(ab, viaA), a.AddSender(ba, viaB)); err != nil {
		t.Fatal(err) // both HELLOs pass: neither knows yet whom it feeds
	}
	if err := errors.Join(a.AddReceiver(ab, b.Reach()), b.AddReceiver(ba, a.Reach())); !errors.Is(err, ErrLoop) {
		t.Fatalf("%v", err)
	}
}

// A tree of distributors is no loop, and what has ended is forgotten.
func TestTreesAreNoLoops(t *testing.T) {
	edge1, edge2, center := New(), New(), New()
	for _, from := range []*Lineage{edge1, edge2, edge1} { // two loops of one distributor connect twice
		if err := connect(from, center); err != nil {
			t.Fatal(err)
		}
	}
	if via := center.Via(); len(via) != 3 || via[0] != center.id {
		t.Errorf("via %q", via)
	}
	key := new(int)
	if err := center.AddSender(key, []string{"gone"}); err != nil {
		t.Fatal(err)
	}
	center.DropSender(key)
	center.DropSender(key)
	if err := center.AddReceiver(new(int), []string{"gone"}); err != nil {
		t.Errorf("%v: that sender has left", err)
	}
}

// What is noted and dropped in any order leaves nothing.
func TestNothingIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := New()
		keys := []any{new(int), new(int), new(int)}
		ids := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 4)
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			key := rapid.SampledFrom(keys).Draw(t, "key")
			if rapid.Bool().Draw(t, "add") {
				if err := l.AddSender(key, ids.Draw(t, "ids")); err != nil {
					t.Fatal(err)
				}
			} else {
				l.DropSender(key)
			}
		}
		for _, key := range keys {
			l.DropSender(key)
		}
		if via := l.Via(); !slices.Equal(via, []string{l.id}) {
			t.Errorf("via %q", via)
		}
	})
}

func TestAHelloHoldsNoMoreThanIsRead(t *testing.T) {
	l := New()
	for i := range 2 * protocol.MaxHops {
		if err := l.AddSender(new(int), []string{fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if via := l.Via(); len(via) != protocol.MaxHops || via[0] != l.id {
		t.Errorf("%d names, the first of them %q", len(via), via[0])
	}
}
