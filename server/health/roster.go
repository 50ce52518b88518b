package health

import "time"

// Member is an analyzer as a new configuration has it. Immutable.
type Member struct {
	Name   string
	Weight float64 // finite, zero or more
	Left   bool    // it is there no more
}

// Set takes a new configuration: by index, which an analyzer keeps for as long as
// it is there, and at least as many as there are. All changes are in one table,
// which is published before Set returns; the caller sees to it that all loops
// know the indices. An index that had left begins anew, as at first contact: it
// was taken out in an orderly way and owes nobody a proof.
func (m *Monitor) Set(members []Member, slowStart time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.slowStart = slowStart
	for i, is := range members {
		if i == len(m.targets) {
			m.targets = append(m.targets, newTarget(is.Name, is.Weight, make([]link, m.loops), now))
		}
		t := &m.targets[i]
		if t.left && !is.Left {
			*t = newTarget(is.Name, is.Weight, t.links, now)
		}
		if t.left = is.Left; t.left {
			t.weight = 0
		} else {
			t.weight = is.Weight
		}
	}
	m.settle(now)
}

// Free says whether an index has left and every loop has lost its link: then
// another analyzer may have it.
func (m *Monitor) Free(analyzer int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &m.targets[analyzer]
	return t.left && t.count(linkGone) == len(t.links)
}
