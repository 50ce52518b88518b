package dispatch

import "sync/atomic"

// chunk is a piece of memory that frames are appended to. refs counts the
// entries whose bytes lie in it, plus one while a stage appends to it.
type chunk struct {
	buf  []byte // len is what is used, cap what is charged
	refs int32
}

// chunks gives and takes back the chunks of one core. Entries name a chunk by
// its index, so that the rings hold no pointers for the collector to follow.
// Owned by one loop.
type chunks struct {
	all    []*chunk // by id; nil when the id is free
	ids    []uint32 // free ids
	spare  []*chunk // free standard chunks
	budget *budget
}

// budget counts the bytes in use by all loops. Safe for concurrent use.
type budget struct {
	limit atomic.Int64
	used  atomic.Int64
}

// tryTake charges n bytes; false means that nothing was charged.
func (b *budget) tryTake(n int64) bool {
	if b.used.Add(n) > b.limit.Load() {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// tryNew gives a chunk with room for size bytes and one reference, the
// appender's. False means that the budget is used up. With force it is charged
// all the same.
func (cs *chunks) tryNew(size int, force bool) (uint32, bool) {
	want := max(chunkBytes, size)
	if force {
		cs.budget.used.Add(int64(want))
	} else if !cs.budget.tryTake(int64(want)) {
		return 0, false
	}
	var ch *chunk
	if n := len(cs.spare); want == chunkBytes && n > 0 {
		ch = cs.spare[n-1]
		cs.spare = cs.spare[:n-1]
	} else {
		ch = &chunk{buf: make([]byte, 0, want)}
	}
	ch.refs = 1
	if n := len(cs.ids); n > 0 {
		id := cs.ids[n-1]
		cs.ids = cs.ids[:n-1]
		cs.all[id] = ch
		return id, true
	}
	cs.all = append(cs.all, ch)
	return uint32(len(cs.all) - 1), true
}

// release drops n references; the last one frees the chunk.
func (cs *chunks) release(id uint32, n int32) {
	ch := cs.all[id]
	if ch.refs -= n; ch.refs > 0 {
		return
	}
	cs.budget.give(int64(cap(ch.buf)))
	cs.all[id] = nil
	cs.ids = append(cs.ids, id)
	if cap(ch.buf) == chunkBytes && len(cs.spare) < spareChunks {
		ch.buf = ch.buf[:0]
		cs.spare = append(cs.spare, ch)
	}
}

// frame returns the bytes of an entry, header included. Borrowed from the
// chunk: valid while the entry lives.
func (cs *chunks) frame(e *entry) []byte {
	return cs.all[e.chunk].buf[e.offset : e.offset+e.size]
}
