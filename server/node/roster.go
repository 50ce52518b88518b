package node

import (
	"fmt"
	"slices"

	"sluice/server/config"
)

// slot is an index that loops, health and pool know an analyzer by. Immutable.
type slot struct {
	config.Analyzer
	left bool // removed: it takes nothing new, and may still have something in flight
	// before is how many packets it had been dispatched when the configuration
	// last changed.
	before uint64
}

// roster are all slots. An analyzer keeps its own for as long as it is there, and
// finds it again if it comes back. Immutable: a change is a new roster.
type roster []slot

func newRoster(analyzers []config.Analyzer) roster {
	r := make(roster, len(analyzers))
	for i, a := range analyzers {
		r[i].Analyzer = a
	}
	return r
}

// change says what has to be done for a new list of analyzers.
type change struct {
	roster     roster
	added      []string // names, for the log
	removed    []string
	moved      []string // have another address
	weighed    []string // have another weight
	reassigned []int    // slots that another analyzer had
}

// plan assigns slots to a new list. free says of a slot whose analyzer has left
// that no loop has a link to it any more.
func (r roster) plan(analyzers []config.Analyzer, free func(int) bool) (c change, err error) {
	next := slices.Clone(r)
	there := make([]bool, len(next))
	var fresh []config.Analyzer
	for _, a := range analyzers {
		i := slices.IndexFunc(next, func(s slot) bool { return s.Name == a.Name })
		if i < 0 {
			fresh = append(fresh, a)
			continue
		}
		there[i] = true
		was := r[i]
		switch {
		case was.left:
			c.added = append(c.added, a.Name)
		case was.Addr != a.Addr:
			c.moved = append(c.moved, a.Name)
		case was.Weight != a.Weight:
			c.weighed = append(c.weighed, a.Name)
		}
		next[i].Analyzer, next[i].left = a, false
	}
	for i := range next {
		if !there[i] && !next[i].left {
			next[i].left = true
			c.removed = append(c.removed, next[i].Name)
		}
	}
	for _, a := range fresh {
		c.added = append(c.added, a.Name)
		i := -1
		for k := range r {
			if r[k].left && next[k].left && free(k) { // and not one that leaves only now
				i = k
				break
			}
		}
		if i < 0 {
			if len(next) == config.MaxAnalyzers {
				return c, fmt.Errorf("the analyzers that were removed still have packets in flight, and there are no more than %d places; try again later", config.MaxAnalyzers)
			}
			next = append(next, slot{Analyzer: a})
			continue
		}
		next[i] = slot{Analyzer: a}
		c.reassigned = append(c.reassigned, i)
	}
	c.roster = next
	return c, nil
}
