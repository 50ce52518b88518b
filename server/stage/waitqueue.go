package stage

// WaitQueue holds frames that no link holds, in order. Each has one of the
// places that all loops share, taken when it comes and given back when it goes.
// Owned by one loop.
type WaitQueue struct {
	ring
	places *Places
}

// NewWaitQueue makes an empty queue whose frames take places.
func NewWaitQueue(places *Places) WaitQueue { return WaitQueue{places: places} }

// Len returns how many frames wait.
func (q *WaitQueue) Len() int { return q.n }

// Front returns the first entry, which must exist. It is the queue's.
func (q *WaitQueue) Front() *Entry { return q.at(0) }

// PushBack appends an entry, also past the limit of places.
func (q *WaitQueue) PushBack(e Entry) {
	q.places.taken.Add(1)
	q.pushBack(e)
}

// PushFront puts an entry before all others, also past the limit of places.
func (q *WaitQueue) PushFront(e Entry) {
	q.places.taken.Add(1)
	q.pushFront(e)
}

// Pop takes the first entry, which must exist.
func (q *WaitQueue) Pop() Entry {
	e := *q.at(0)
	q.dropFront(1)
	q.places.taken.Add(-1)
	return e
}

// MoveFront moves the first entry to the back of another queue.
func (q *WaitQueue) MoveFront(to *WaitQueue) {
	to.pushBack(*q.at(0))
	q.dropFront(1)
}

// MoveAll moves all entries to the back of another queue.
func (q *WaitQueue) MoveAll(to *WaitQueue) {
	for q.n > 0 {
		q.MoveFront(to)
	}
}

// TakeIf takes the entries of which leaves says so, in order; the others stay in
// theirs. leaves sees each entry once and may use it only until it returns.
func (q *WaitQueue) TakeIf(leaves func(*Entry) bool) {
	q.filter(func(e *Entry) bool {
		if !leaves(e) {
			return true
		}
		q.places.taken.Add(-1)
		return false
	})
}

// Hold copies frames that wait to chunks. Owned by one loop.
type Hold struct{ appender }

// NewHold makes a hold over a pool.
func NewHold(pool *Pool) Hold { return Hold{appender{pool: pool}} }

// TryAppend copies a frame to the back of a queue, as e says. Of e it sets where
// the bytes lie. False means that the byte budget is used up and nothing
// changed; with force it does not happen. The place is the caller's affair:
// with reserved it was taken before.
func (h *Hold) TryAppend(q *WaitQueue, frame []byte, e Entry, reserved, force bool) bool {
	var ok bool
	if e.chunk, e.offset, ok = h.tryCopy(frame, force); !ok {
		return false
	}
	e.size = uint32(len(frame))
	if !reserved {
		q.places.taken.Add(1)
	}
	q.pushBack(e)
	return true
}
