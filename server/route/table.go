// Package route turns weights into picks. It is pure: no clock, no socket, no
// goroutine, and no state besides the one counter of Sequence.
//
// A packet's way through it: the loop reserves as many sequence numbers as it
// has packets in a read (Sequence.Reserve), and asks the current Table how many
// of them fall to each analyzer (Table.Deal). A packet that comes alone has a
// number turned into a point (Point), and is the analyzer's under that point
// (Table.Pick). With affinity it asks Table.Rendezvous with the key instead.
package route

import (
	"fmt"
	"math"
	"math/bits"
)

// MaxTargets is the largest number of analyzers a Table can hold. It keeps
// MaxTargets × columnUnits within 64 bits, see NewTable.
const MaxTargets = 1024

// columnBits is the resolution of one column of the alias table: a share is
// kept to 2^-53 of a column, which is all that a float64 weight says anyway.
const columnBits = 53

const columnUnits = uint64(1) << columnBits

// WeightError says which weight cannot be used, and why. Index is -1 when the
// number of weights is what is wrong. Immutable.
type WeightError struct {
	Index  int
	Reason string
}

func (e *WeightError) Error() string {
	if e.Index < 0 {
		return "route: " + e.Reason
	}
	return fmt.Sprintf("route: weight %d %s", e.Index, e.Reason)
}

// Table is Walker's alias table over the effective weights of the analyzers,
// built with Vose's method: an array of as many columns as there are
// analyzers, each split between at most two of them, so that a pick is one
// multiplication and one comparison however many analyzers there are
// (A. J. Walker 1977; M. D. Vose, "A Linear Algorithm For Generating Random
// Numbers With a Given Distribution", 1991).
//
// The obvious way, a sorted list of cumulative weights, costs a search per
// packet. The usual alias table is built in floating point, and then rounding
// can leave a column without a partner, and an analyzer of weight zero with a
// sliver of it. This one is built in integers whose sum is exactly that of the
// columns, so nothing is ever left over: a weight of zero is never picked.
//
// A change of weight or health is a new Table, swapped behind an atomic
// pointer by its owner. Immutable.
type Table struct {
	columns []column
	shares  []float64
	keyed   []keyedTarget
}

// column: a coin below threshold stays, any other goes to alias. Immutable.
type column struct {
	threshold uint64
	stay      int32
	alias     int32
}

// NewTable builds the table for weights that are finite and at least zero, at
// most MaxTargets of them; anything else is a *WeightError. Only the ratios
// count. If every weight is zero, or there are none, the table is Empty.
// The slice is not kept.
func NewTable(weights []float64) (*Table, error) {
	if len(weights) > MaxTargets {
		return nil, &WeightError{Index: -1, Reason: fmt.Sprintf("%d weights are more than the limit of %d", len(weights), MaxTargets)}
	}
	largest := 0
	for i, w := range weights {
		switch {
		case math.IsNaN(w) || math.IsInf(w, 0):
			return nil, &WeightError{Index: i, Reason: "is not a finite number"}
		case w < 0:
			return nil, &WeightError{Index: i, Reason: "is below zero"}
		case w > weights[largest]:
			largest = i
		}
	}
	t := &Table{shares: make([]float64, len(weights))}
	if len(weights) == 0 || weights[largest] == 0 {
		return t, nil
	}
	units := quantise(weights, largest)
	total := float64(columnUnits) * float64(len(weights))
	for i, n := range units {
		t.shares[i] = float64(n) / total
	}
	t.columns = fillColumns(units)
	t.keyed = keyTargets(weights)
	return t, nil
}

// quantise gives every weight its integer number of units, len(weights) full
// columns in all. What rounding leaves over goes to the largest weight, which
// has at least one whole column and so neither notices nor can go below zero.
func quantise(weights []float64, largest int) []uint64 {
	// Dividing by the largest first keeps a sum of huge weights finite.
	sum := 0.0
	for _, w := range weights {
		sum += w / weights[largest]
	}
	total := uint64(len(weights)) << columnBits
	units := make([]uint64, len(weights))
	used := uint64(0)
	for i, w := range weights {
		units[i] = uint64(w / weights[largest] / sum * float64(total))
		used += units[i]
	}
	units[largest] += total - used // wraps to a subtraction when rounding gave too much
	return units
}

// fillColumns is Vose's method in integers. Every step takes one target that
// has less than a column left and fills its column up from one that has more.
// The sum is exact, so whoever remains has exactly one column.
func fillColumns(units []uint64) []column {
	columns := make([]column, len(units))
	rest := append([]uint64(nil), units...)
	var small, large []int32
	for i := len(rest) - 1; i >= 0; i-- {
		columns[i] = column{threshold: math.MaxUint64, stay: int32(i), alias: int32(i)}
		switch {
		case rest[i] < columnUnits:
			small = append(small, int32(i))
		case rest[i] > columnUnits:
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		columns[s].threshold = rest[s] << (64 - columnBits)
		columns[s].alias = l
		rest[l] -= columnUnits - rest[s]
		if rest[l] <= columnUnits {
			large = large[:len(large)-1]
			if rest[l] < columnUnits {
				small = append(small, l)
			}
		}
	}
	return columns
}

// Pick gives the index of the target under the point u, or -1 if the table is
// Empty. Over all 2^64 points every target is picked in proportion to its
// weight; which points are asked for is the caller's affair (see Sequence).
// It does not allocate.
func (t *Table) Pick(u uint64) int {
	// The 128-bit product u × N is a fixed-point number in [0, N): its integer
	// part is the column, its fraction the coin.
	hi, lo := bits.Mul64(u, uint64(len(t.columns)))
	if hi >= uint64(len(t.columns)) {
		return -1 // no columns at all
	}
	// Which side the coin falls on cannot be guessed. With both values loaded
	// before it, the comparison is compiled to a conditional move.
	c := &t.columns[hi]
	i, alias := c.stay, c.alias
	if lo >= c.threshold {
		i = alias
	}
	return int(i)
}

// Deal picks for the n numbers of the Sequence from first on, and adds to hands
// how often each target was picked. It appends to touched, each once, the targets
// whose count was 0 before, in the order of their first pick, and returns it.
// hands has a place for each target; the table must not be Empty.
func (t *Table) Deal(first uint64, n int, hands []uint32, touched []int32) []int32 {
	for u := Point(first); n > 0; n-- {
		i := t.Pick(u)
		if hands[i] == 0 {
			touched = append(touched, int32(i))
		}
		hands[i]++
		u += golden
	}
	return touched
}

// Weight gives the share of target i, 0 to 1; all of them sum to 1 unless the
// table is Empty, where each is 0.
func (t *Table) Weight(i int) float64 {
	if i >= len(t.shares) {
		return 0
	}
	return t.shares[i]
}

// Len is the number of weights the table was made of, zero ones included.
func (t *Table) Len() int { return len(t.shares) }

// Empty reports that nothing can be picked: no weight is above zero.
func (t *Table) Empty() bool { return len(t.columns) == 0 }
