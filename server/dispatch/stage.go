package dispatch

// entry says where one admitted frame lies and whose it is. 32 bytes without
// pointers: a million of them cost the collector nothing.
type entry struct {
	number   uint64 // the session's number of the frame
	session  uint32 // slot of the session
	chunk    uint32 // id of the chunk
	offset   uint32 // of the header in the chunk
	size     uint32 // bytes, header included
	at       uint32 // ms since the core's epoch: in the stage or queue since, or in delayed: due at
	attempts uint8  // hand-overs that failed
	flags    uint8
}

const (
	// entrySettled marks an entry of a link that was answered out of order or
	// moved away: its bytes are no longer its own, its number is still due.
	entrySettled uint8 = 1 << iota
	// entryPicked marks an entry that has used its number of the sequence.
	entryPicked
)

// ring is a double-ended queue of entries that grows by doubling.
// Owned by one loop.
type ring struct {
	buf  []entry // len is a power of two, or 0
	head int
	n    int
}

// at returns the i-th entry from the front; i must be below n.
func (r *ring) at(i int) *entry { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

// grow makes room for at least n more entries.
func (r *ring) grow(n int) {
	size := max(64, 2*len(r.buf))
	for size < r.n+n {
		size *= 2
	}
	buf := make([]entry, size)
	for i := 0; i < r.n; i++ {
		buf[i] = *r.at(i)
	}
	r.buf, r.head = buf, 0
}

func (r *ring) pushBack(e entry) { *r.extend() = e }

// extend adds a place at the back, to be filled by the caller: what stood in it
// before is still there.
func (r *ring) extend() *entry {
	if r.n == len(r.buf) {
		r.grow(1)
	}
	e := &r.buf[(r.head+r.n)&(len(r.buf)-1)]
	r.n++
	return e
}

func (r *ring) pushFront(e entry) {
	if r.n == len(r.buf) {
		r.grow(1)
	}
	r.head = (r.head - 1) & (len(r.buf) - 1)
	r.buf[r.head] = e
	r.n++
}

// filter keeps the entries of which keep says so, in their order.
func (r *ring) filter(keep func(*entry) bool) {
	kept := 0
	for i := 0; i < r.n; i++ {
		e := r.at(i)
		if !keep(e) {
			continue
		}
		if kept != i {
			*r.at(kept) = *e
		}
		kept++
	}
	r.dropBack(r.n - kept)
}

// dropFront forgets the first k entries.
func (r *ring) dropFront(k int) {
	if r.n -= k; r.n == 0 {
		r.head = 0
		return
	}
	r.head = (r.head + k) & (len(r.buf) - 1)
}

// dropBack forgets the last k entries.
func (r *ring) dropBack(k int) { r.n -= k }

// appender copies frames to the end of a chunk, and takes another chunk when
// that is full. Owned by one loop.
type appender struct {
	tail uint32 // id of the chunk that is appended to
	to   *chunk // the same; nil when there is none
}

// tryCopy copies a frame and says where to. False means that the byte budget is
// used up and nothing changed.
//
// force copies in any case. It is for frames that were admitted before and
// only move: the chunk they leave is freed as they go, so a stage overdraws by
// about one chunk, and without it a queue that has used up the budget could
// never be emptied.
func (a *appender) tryCopy(cs *chunks, frame []byte, force bool) (chunk, offset uint32, ok bool) {
	ch := a.tryRoom(cs, len(frame), force)
	if ch == nil {
		return 0, 0, false
	}
	at := len(ch.buf)
	ch.buf = ch.buf[:at+len(frame)]
	copy(ch.buf[at:], frame)
	ch.refs++
	return a.tail, uint32(at), true
}

// tryRoom returns a chunk with room for size bytes at its end; nil if the
// budget is used up.
func (a *appender) tryRoom(cs *chunks, size int, force bool) *chunk {
	ch := a.to
	if ch != nil && ch.refs == 1 {
		ch.buf = ch.buf[:0] // nobody's bytes are left: begin again, in the cache
	}
	if ch == nil || cap(ch.buf)-len(ch.buf) < size {
		id, ok := cs.tryNew(size, force)
		if !ok {
			return nil
		}
		a.close(cs)
		ch = cs.all[id]
		a.tail, a.to = id, ch
	}
	return ch
}

// close gives back the chunk that was appended to; entries keep theirs.
func (a *appender) close(cs *chunks) {
	if a.to != nil {
		cs.release(a.tail, 1)
		a.to = nil
	}
}

// stage holds admitted frames in order: a ring of entries over chunks. A
// link's stage is what was and will be written to its socket; the bytes are
// copied into it once and stay until they are acknowledged, so they are the
// retransmission buffer too. An admitted frame is in exactly one stage, or in
// the queue, which is a ring of entries whose chunks came with them.
// Owned by one loop.
type stage struct {
	ring
	appender
	bytes int // of entries that are not settled
}

// tryAppend copies a frame to the end, and returns its entry, which knows where
// the bytes lie; the rest is the caller's to fill in. Nil means that the byte
// budget is used up and nothing changed; with force (see tryCopy) it does not
// happen.
func (st *stage) tryAppend(cs *chunks, frame []byte, force bool) *entry {
	chunk, offset, ok := st.tryCopy(cs, frame, force)
	if !ok {
		return nil
	}
	st.bytes += len(frame)
	e := st.extend()
	e.chunk, e.offset, e.size = chunk, offset, uint32(len(frame))
	return e
}

// tryAppendSpan copies frames that lie side by side at the front of data: as many
// of those of sizes as fit into one chunk, within roomFrames and roomBytes. They
// are first dispatches of a session, numbered from number on. It returns how many
// it took and their bytes: 0 if there is no room for the first, or the byte budget
// is used up.
func (st *stage) tryAppendSpan(cs *chunks, data []byte, sizes []uint32, roomFrames, roomBytes int, session uint32, number uint64, nowMS uint32) (frames, bytes int) {
	if roomFrames <= 0 || roomBytes < int(sizes[0]) {
		return 0, 0
	}
	ch := st.tryRoom(cs, int(sizes[0]), false)
	if ch == nil {
		return 0, 0
	}
	sizes = sizes[:min(len(sizes), roomFrames)]
	if len(st.buf)-st.n < len(sizes) {
		st.grow(len(sizes))
	}
	begin := len(ch.buf)
	room := min(roomBytes, cap(ch.buf)-begin)
	ring, last := st.buf, len(st.buf)-1
	at := st.head + st.n
	for _, size := range sizes {
		if bytes+int(size) > room {
			break
		}
		// Field by field: an entry copied as a whole would wait for the stores of
		// those fields that have just changed.
		e := &ring[(at+frames)&last]
		e.number, e.session = number+uint64(frames), session
		e.chunk, e.offset, e.size = st.tail, uint32(begin+bytes), size
		e.at, e.attempts, e.flags = nowMS, 0, entryPicked
		bytes += int(size)
		frames++
	}
	ch.buf = ch.buf[:begin+bytes]
	copy(ch.buf[begin:], data[:bytes])
	ch.refs += int32(frames)
	st.n += frames
	st.bytes += bytes
	return frames, bytes
}

// run counts the entries from i on, before end, that follow each other in all
// that settlement looks at: one session, consecutive numbers, one chunk, none of
// them settled. The entry at i must not be settled.
func (st *stage) run(i, end int) (frames, bytes int) {
	ring, last := st.buf, len(st.buf)-1
	first := &ring[(st.head+i)&last]
	e := first
	for {
		frames++
		bytes += int(e.size)
		if i+frames == end {
			return frames, bytes
		}
		e = &ring[(st.head+i+frames)&last]
		if e.session != first.session || e.number != first.number+uint64(frames) ||
			e.chunk != first.chunk || e.flags&entrySettled != 0 {
			return frames, bytes
		}
	}
}

// piece counts the entries from i on, before end, whose bytes lie side by side,
// at most so many bytes, and returns these bytes. Nothing if the first is larger.
func (st *stage) piece(i, end, most int) (chunk uint32, begin, size, frames int) {
	ring, last := st.buf, len(st.buf)-1
	first := &ring[(st.head+i)&last]
	chunk, begin = first.chunk, int(first.offset)
	for ; i < end; i++ {
		e := &ring[(st.head+i)&last]
		if e.chunk != chunk || int(e.offset) != begin+size || size+int(e.size) > most {
			break
		}
		size += int(e.size)
		frames++
	}
	return chunk, begin, size, frames
}
