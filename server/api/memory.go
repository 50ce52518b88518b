package api

import "sync/atomic"

// memory is the budget of bytes for bodies in the making. It never waits: a
// request that does not fit is told to come again. Safe for concurrent use.
type memory struct{ left atomic.Int64 }

func (m *memory) tryTake(n int) bool {
	if m.left.Add(-int64(n)) >= 0 {
		return true
	}
	m.left.Add(int64(n))
	return false
}

func (m *memory) give(n int) { m.left.Add(int64(n)) }

// reservation is what one request has taken. Owned by one request.
type reservation struct {
	memory *memory
	taken  int
}

func (t *reservation) tryTake(n int) bool {
	if !t.memory.tryTake(n) {
		return false
	}
	t.taken += n
	return true
}

func (t *reservation) settle() {
	t.memory.give(t.taken)
	t.taken = 0
}
