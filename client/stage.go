package client

import (
	"encoding/binary"

	"sluice/protocol"
)

const (
	// chunkSize is small beside a write: what has no answer keeps its chunk, and
	// less memory in turn is more of it in the processor's cache.
	chunkSize = 64 << 10

	// writeSize bounds one write.
	writeSize = 256 << 10

	// spareChunks is how many empty chunks are kept: 2 MiB, so that steady load
	// allocates none.
	spareChunks = 32
)

// A chunk holds ready frames end to end. Its bytes are written once, when the
// frames are handed in, and are never moved: what lies here for the socket is
// also what is sent again if the connection is lost.
type chunk struct {
	buf  []byte
	refs int // unsettled frames in it, plus writes that read from it
}

// An entry is one packet that has no outcome yet. Entries are values and are in
// exactly one ring at any moment, so none can be settled twice.
type entry struct {
	chunk     *chunk // nil: answered by a NACK, and in its place until an ACK passes it
	off, size uint32 // of the frame, header and body
	sends     uint32 // how often it was given to a socket
	tag       uint64
}

// stage owns the chunks. It belongs to the client's mutex.
type stage struct {
	tail  *chunk
	free  []*chunk
	bytes int // capacity of all chunks with frames in them, the memory held
	hint  int // size of the last frame; the next one is probably like it
}

// begin returns an empty slice to append a body to; its capacity is the room
// that is left in the chunk, likely enough for a body like the last one. If the
// body is to be kept, commit must follow.
func (s *stage) begin() []byte {
	t := s.tail
	if t == nil || cap(t.buf)-len(t.buf) < protocol.HeaderSize+s.hint {
		t = s.newTail(protocol.HeaderSize + s.hint)
	}
	at := len(t.buf) + protocol.HeaderSize
	return t.buf[at:at:cap(t.buf)]
}

// commit makes a frame of what begin's slice has become, and says where it lies.
// A body that outgrew its room is copied to a chunk where it fits. The frame holds
// a reference to its chunk.
func (s *stage) commit(body []byte) (in *chunk, off, size uint32) {
	t := s.tail
	n := protocol.HeaderSize + len(body)
	if !s.inPlace(body) {
		if cap(t.buf)-len(t.buf) < n {
			t = s.newTail(n)
		}
		copy(t.buf[len(t.buf)+protocol.HeaderSize:cap(t.buf)], body)
	}
	at := len(t.buf)
	t.buf = t.buf[:at+n]
	binary.BigEndian.PutUint32(t.buf[at:], uint32(len(body)))
	t.refs++
	s.hint = len(body)
	return t, uint32(at), uint32(n)
}

// inPlace says whether body lies where begin said.
func (s *stage) inPlace(body []byte) bool {
	at, end := len(s.tail.buf)+protocol.HeaderSize, cap(s.tail.buf)
	if len(body) == 0 || len(body) > end-at {
		return false
	}
	return &body[0] == &s.tail.buf[at:end][0]
}

// newTail starts a chunk with room for at least n bytes.
func (s *stage) newTail(n int) *chunk {
	old := s.tail
	s.tail = nil
	if old != nil && old.refs == 0 {
		s.recycle(old)
	}
	var t *chunk
	if k := len(s.free); k > 0 && n <= chunkSize {
		t, s.free = s.free[k-1], s.free[:k-1]
	} else {
		t = &chunk{buf: make([]byte, 0, max(n, chunkSize))}
	}
	s.bytes += cap(t.buf)
	s.tail = t
	return t
}

// release gives back n references. A chunk without any is used again.
func (s *stage) release(c *chunk, n int) {
	if c.refs -= n; c.refs > 0 {
		return
	}
	if c == s.tail {
		c.buf = c.buf[:0] // start over in bytes that are still warm
		return
	}
	s.recycle(c)
}

func (s *stage) recycle(c *chunk) {
	s.bytes -= cap(c.buf)
	if cap(c.buf) == chunkSize && len(s.free) < spareChunks {
		c.buf = c.buf[:0]
		s.free = append(s.free, c)
	}
}

// ring is a queue of entries that grows with use. Its zero value is empty.
type ring struct {
	buf  []entry // a power of two long
	head int
	n    int
}

// extend adds a place at the back, to be filled by the caller, field by field: an
// entry that is made elsewhere and then copied as a whole waits until the stores of
// its fields have reached the cache, which cost 20 ns a packet.
func (r *ring) extend() *entry {
	if r.n == len(r.buf) {
		r.grow()
	}
	r.n++
	return r.at(r.n - 1)
}

// insert moves all entries of from into r, in order, so that the first becomes
// the i-th.
func (r *ring) insert(i int, from *ring) {
	k := from.n
	for range k {
		r.extend()
	}
	for j := r.n - 1; j >= i+k; j-- {
		*r.at(j) = *r.at(j - k)
	}
	for j := range k {
		*r.at(i + j) = from.pop()
	}
}

// remove takes the i-th entry out.
func (r *ring) remove(i int) entry {
	e := *r.at(i)
	for ; i < r.n-1; i++ {
		*r.at(i) = *r.at(i + 1)
	}
	r.at(r.n - 1).chunk = nil
	r.n--
	return e
}

// compact drops the entries that were answered by a NACK.
func (r *ring) compact() {
	kept := 0
	for i := range r.n {
		if e := *r.at(i); e.chunk != nil {
			r.at(i).chunk = nil
			*r.at(kept) = e
			kept++
		}
	}
	r.n = kept
}

// at returns the i-th entry from the front; i must be below r.n. The pointer
// is good until the next push.
func (r *ring) at(i int) *entry { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

func (r *ring) pop() entry {
	e := *r.at(0)
	r.drop(1)
	return e
}

// drop forgets the first n.
func (r *ring) drop(n int) {
	first := min(n, len(r.buf)-r.head)
	clear(r.buf[r.head : r.head+first])
	clear(r.buf[:n-first])
	r.head = (r.head + n) & (len(r.buf) - 1)
	r.n -= n
}

func (r *ring) grow() {
	buf := make([]entry, max(64, 2*len(r.buf)))
	for i := range r.n {
		buf[i] = *r.at(i)
	}
	r.buf, r.head = buf, 0
}
