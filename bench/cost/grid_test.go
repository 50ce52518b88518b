package cost

import "testing"

// TestGridHoldsWhatIsHeldOut checks that every point that is kept from the fit
// is measured, and that each value of each axis is also fitted to.
func TestGridHoldsWhatIsHeldOut(t *testing.T) {
	all, held := Grid(), 0
	seen := map[Point]bool{}
	fitted := map[[2]int]int{}
	for _, p := range all {
		if seen[p] {
			t.Errorf("%v is there twice", p)
		}
		seen[p] = true
		if p.HeldOut {
			held++
			continue
		}
		for axis, value := range []int{p.Agents, p.Analyzers, p.Size, int(p.Rate), p.Loops} {
			fitted[[2]int{axis, value}]++
		}
	}
	if held != len(heldOut) || held < len(all)/6 {
		t.Errorf("%d of %d points are held out, %d were chosen", held, len(all), len(heldOut))
	}
	for _, p := range all {
		for axis, value := range []int{p.Agents, p.Analyzers, p.Size, int(p.Rate), p.Loops} {
			if fitted[[2]int{axis, value}] < 3 {
				t.Errorf("%v: value %d of axis %d has fewer than 3 points to fit to", p, value, axis)
			}
		}
	}
}
