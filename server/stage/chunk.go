package stage

const (
	// ChunkBytes is the size of a standard chunk: what one turn reads at most,
	// so that a turn's frames for one link lie in one or two pieces.
	ChunkBytes = 256 << 10
	// spareChunks is how many free chunks a pool keeps: 8 MiB.
	spareChunks = 32
)

// chunk is a piece of memory that frames are appended to. refs counts the
// entries whose bytes lie in it, plus one while an appender appends to it.
type chunk struct {
	buf  []byte // len is what is used, cap what is charged
	refs int32
}

// Pool gives and takes back the chunks of one loop. Entries name a chunk by its
// index, so that the rings hold no pointers for the collector to follow. Owned
// by one loop.
type Pool struct {
	all    []*chunk // by id; nil when the id is free
	ids    []uint32 // free ids
	spare  []*chunk // free standard chunks
	budget *Budget
}

// NewPool makes a pool whose chunks are charged to a budget.
func NewPool(budget *Budget) *Pool { return &Pool{budget: budget} }

// tryNew gives a chunk with room for size bytes and one reference, the
// appender's. False means that the budget is used up. With force it is charged
// all the same.
func (p *Pool) tryNew(size int, force bool) (uint32, bool) {
	want := max(ChunkBytes, size)
	if force {
		p.budget.Take(int64(want))
	} else if !p.budget.TryTake(int64(want)) {
		return 0, false
	}
	var ch *chunk
	if n := len(p.spare); want == ChunkBytes && n > 0 {
		ch = p.spare[n-1]
		p.spare = p.spare[:n-1]
	} else {
		ch = &chunk{buf: make([]byte, 0, want)}
	}
	ch.refs = 1
	if n := len(p.ids); n > 0 {
		id := p.ids[n-1]
		p.ids = p.ids[:n-1]
		p.all[id] = ch
		return id, true
	}
	p.all = append(p.all, ch)
	return uint32(len(p.all) - 1), true
}

// unref drops n references; the last one frees the chunk.
func (p *Pool) unref(id uint32, n int32) {
	ch := p.all[id]
	if ch.refs -= n; ch.refs > 0 {
		return
	}
	p.budget.Give(int64(cap(ch.buf)))
	p.all[id] = nil
	p.ids = append(p.ids, id)
	if cap(ch.buf) == ChunkBytes && len(p.spare) < spareChunks {
		ch.buf = ch.buf[:0]
		p.spare = append(p.spare, ch)
	}
}

// Frame returns the bytes of an entry, header included. Borrowed: valid until
// the entry is released.
func (p *Pool) Frame(e *Entry) []byte {
	return p.all[e.chunk].buf[e.offset : e.offset+e.size]
}

// Release lets go of the bytes of an entry, which has left its place.
func (p *Pool) Release(e *Entry) { p.unref(e.chunk, 1) }

// appender copies frames to the end of a chunk, and takes another chunk when
// that is full. Owned by one loop.
type appender struct {
	pool *Pool
	tail uint32 // id of the chunk that is appended to
	to   *chunk // the same; nil when there is none
}

// tryCopy copies a frame and says where to. False means that the byte budget is
// used up and nothing changed.
//
// force copies in any case. It is for frames whose bytes were reserved: they
// overdraw by what one chunk has left.
func (a *appender) tryCopy(frame []byte, force bool) (chunk, offset uint32, ok bool) {
	ch := a.tryExtend(len(frame), force)
	if ch == nil {
		return 0, 0, false
	}
	at := len(ch.buf)
	ch.buf = ch.buf[:at+len(frame)]
	copy(ch.buf[at:], frame)
	ch.refs++
	chunk = a.tail
	a.closeLarge()
	return chunk, uint32(at), true
}

// closeLarge gives back a chunk that was made for one large frame: an idle link
// must not hold so much of the budget.
func (a *appender) closeLarge() {
	if cap(a.to.buf) > ChunkBytes {
		a.close()
	}
}

// tryExtend returns a chunk with room for size bytes at its end; nil if the
// budget is used up.
func (a *appender) tryExtend(size int, force bool) *chunk {
	ch := a.to
	if ch != nil && ch.refs == 1 {
		ch.buf = ch.buf[:0] // nobody's bytes are left: begin again, in the cache
	}
	if ch == nil || cap(ch.buf)-len(ch.buf) < size {
		id, ok := a.pool.tryNew(size, force)
		if !ok {
			return nil
		}
		a.close()
		ch = a.pool.all[id]
		a.tail, a.to = id, ch
	}
	return ch
}

// close gives back the chunk that was appended to; entries keep theirs.
func (a *appender) close() {
	if a.to != nil {
		a.pool.unref(a.tail, 1)
		a.to = nil
	}
}
