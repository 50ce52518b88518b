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

// MaxTargets is the largest number of analyzers a Table can hold.
const MaxTargets = 1024

// columnsPerTarget keeps boundaries apart: with equal weights none of the
// columns holds two, and a pick is nearly always decided by its column. A
// table of MaxTargets has 8,192 columns of 16 bytes, 128 KiB.
const columnsPerTarget = 8

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

// Table is an alias table over the effective weights of the analyzers: an array
// of columns of equal width, each with a coin that says whether the point is
// its first owner's or the other's. A pick is one shift, one load and one
// comparison however many analyzers there are.
//
// The usual alias table (A. J. Walker 1977; M. D. Vose 1991) has one column for
// each analyzer and fills up what a small weight leaves with a piece of a large
// one. That is enough for random points. For those of a Sequence it is not: a
// large weight is scattered over up to as many pieces as there are analyzers,
// the pieces lie at regular distances, and at some numbers of analyzers (34,
// 89, 610: Fibonacci numbers) their errors add up to hundreds of packets.
//
// Here each analyzer owns one interval. They lie side by side over [0, 1), in
// the order of the analyzers, and this is cut into columns, a power of two and
// at least eight times as many as analyzers. So most columns have one owner,
// others hold one boundary: its owner below, the next one above. Where several
// small weights meet in one column, either side may be another column, with a
// boundary further on: a tree of ten at most. Points fall there as rarely as
// the column is narrow, so that a pick looks at 1 + log2(1024)/8 columns on
// average at most, whatever the weights.
//
// Boundaries are integers, 2^-64ths of the whole, and the intervals fill it
// exactly: a weight of zero has no interval and is never picked.
//
// A change of weight or health is a new Table, swapped behind an atomic
// pointer by its owner. Immutable.
type Table struct {
	columns []column // a power of two
	shift   uint8    // a point without its last shift bits is its column's index
	crowded []column // where a column refers to if several boundaries meet in it
	shares  []float64
	keyed   []keyedTarget
}

// column: a point below threshold is the owner's, any other the alias's. Each is
// the index of a target or, below zero, the complement of that of a crowded
// column, in which to look again. Immutable.
type column struct {
	threshold uint64
	owner     int32
	alias     int32
}

// boundary is where a target's interval begins: at the first point that is its
// own. Immutable.
type boundary struct {
	at     uint64
	target int32
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
	t.keyed = keyTargets(weights)
	t.cut(t.layOut(weights, largest))
	return t, nil
}

// layOut gives every weight its interval and share. An interval is a whole
// number of 2^-64ths. What rounding leaves over goes to the largest weight,
// which has at least the MaxTargets-th part of all and does not notice. A
// weight below 2^-64 of all of them has no interval.
func (t *Table) layOut(weights []float64, largest int) []boundary {
	// Dividing by the largest first keeps a sum of huge weights finite.
	sum := 0.0
	for _, w := range weights {
		sum += w / weights[largest]
	}
	widths := make([]uint64, len(weights))
	others := uint64(0)
	for i, w := range weights {
		if i != largest {
			widths[i] = uint64(w / weights[largest] / sum * 0x1p64)
			others += widths[i]
		}
	}
	widths[largest] = -others // 2^64 less the others; 0 is all of it
	var all []boundary
	at := uint64(0)
	for i, width := range widths {
		if width == 0 && i != largest {
			continue
		}
		t.shares[i] = float64(width) * 0x1p-64
		if width == 0 {
			t.shares[i] = 1
		}
		all = append(all, boundary{at: at, target: int32(i)})
		at += width
	}
	return all
}

// cut makes the columns of intervals that lie side by side.
func (t *Table) cut(intervals []boundary) {
	log := bits.Len(uint(len(intervals)*columnsPerTarget - 1))
	t.columns = make([]column, 1<<log)
	t.shift = uint8(64 - log)
	width := uint64(1) << (64 - log)
	for c := range t.columns {
		first := uint64(c) * width
		last := first + (width - 1)
		for len(intervals) > 1 && intervals[1].at <= first {
			intervals = intervals[1:]
		}
		n := 1 // intervals that begin before the column's end, the owner's included
		for n < len(intervals) && intervals[n].at <= last {
			n++
		}
		t.columns[c] = t.divide(intervals[:n])
		intervals = intervals[n-1:]
	}
}

// divide gives the column in which these intervals meet, the first of which
// began before it. Further boundaries go to crowded ones.
func (t *Table) divide(intervals []boundary) column {
	half := len(intervals) / 2
	if half == 0 {
		return column{owner: intervals[0].target, alias: intervals[0].target}
	}
	return column{threshold: intervals[half].at, owner: t.refer(intervals[:half]), alias: t.refer(intervals[half:])}
}

// refer gives a side of a column: the one target that has it, or another column.
func (t *Table) refer(intervals []boundary) int32 {
	if len(intervals) == 1 {
		return intervals[0].target
	}
	c := t.divide(intervals)
	t.crowded = append(t.crowded, c)
	return ^int32(len(t.crowded) - 1)
}

// Pick gives the index of the target under the point u, or -1 if the table is
// Empty. Over all 2^64 points every target is picked in proportion to its
// weight; which points are asked for is the caller's affair (see Sequence).
// It does not allocate.
func (t *Table) Pick(u uint64) int {
	at := u >> (t.shift & 63)
	if at >= uint64(len(t.columns)) {
		return -1 // no columns at all
	}
	c := &t.columns[at]
	for {
		i := c.owner
		if u >= c.threshold {
			i = c.alias
		}
		if i >= 0 {
			return int(i)
		}
		c = &t.crowded[^i]
	}
}

// Deal picks for the n numbers of the Sequence from first on, and adds to hands
// how often each target was picked. It appends to touched, each once, the targets
// whose count was 0 before, in the order of their first pick, and returns it.
// hands has a place for each target; the table must not be Empty.
func (t *Table) Deal(first uint64, n int, hands []uint32, touched []int32) []int32 {
	columns, shift := t.columns, t.shift&63
	for u := Point(first); n > 0; n-- {
		c := &columns[u>>shift] // Pick's first look, kept in registers
		i := c.owner
		if u >= c.threshold {
			i = c.alias
		}
		if i < 0 {
			i = int32(t.Pick(u))
		}
		if hands[i] == 0 {
			touched = append(touched, i)
		}
		hands[i]++
		u += step
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
