package stage

// ring is a double-ended queue of entries that grows by doubling. Owned by one
// loop.
type ring struct {
	buf  []Entry // len is a power of two, or 0
	head int
	n    int
}

// at returns the i-th entry from the front; i must be below n.
func (r *ring) at(i int) *Entry { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

// grow makes room for at least n more entries.
func (r *ring) grow(n int) {
	size := max(64, 2*len(r.buf))
	for size < r.n+n {
		size *= 2
	}
	buf := make([]Entry, size)
	for i := 0; i < r.n; i++ {
		buf[i] = *r.at(i)
	}
	r.buf, r.head = buf, 0
}

func (r *ring) pushBack(e Entry) { *r.extend() = e }

// extend adds a place at the back, to be filled by the caller: what stood in it
// before is still there.
func (r *ring) extend() *Entry {
	if r.n == len(r.buf) {
		r.grow(1)
	}
	e := &r.buf[(r.head+r.n)&(len(r.buf)-1)]
	r.n++
	return e
}

func (r *ring) pushFront(e Entry) {
	if r.n == len(r.buf) {
		r.grow(1)
	}
	r.head = (r.head - 1) & (len(r.buf) - 1)
	r.buf[r.head] = e
	r.n++
}

// filter keeps the entries of which keep says so, in their order.
func (r *ring) filter(keep func(*Entry) bool) {
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
