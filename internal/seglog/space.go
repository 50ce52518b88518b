package seglog

// Reservations are backed by the free bytes of prepared segments. A block is
// not split, so a segment may end with less free than the largest block takes;
// so much of each prepared segment is not promised to anybody.

// fits says whether a charge can be promised. With l.mu.
func (l *Log) fits(charge int64) bool {
	return l.reserved+charge <= l.spare(charge)
}

// spare is what may be promised in all, if the largest block has that charge.
// With l.mu.
func (l *Log) spare(charge int64) int64 {
	return l.free - int64(len(l.prepared))*max(l.largest, charge)
}

// TryReserve reserves space for a block of that size, which is used up by
// Append or given back by Release. False: there is no space, or the folder
// cannot be written, or not as fast as blocks come. It does not touch the disk.
func (l *Log) TryReserve(size int) bool {
	c := charge(size)
	l.mu.Lock()
	if l.closed || !l.ready || l.failure != nil || l.unsafe >= pendingBytes {
		l.mu.Unlock()
		return false
	}
	if !l.fits(c) {
		l.wanted = c
		l.mu.Unlock()
		nudge(l.wake)
		return false
	}
	l.reserve(c)
	l.wanted = 0
	low := l.short() > 0
	l.mu.Unlock()
	if low {
		nudge(l.wake)
	}
	return true
}

// Overdraw reserves without space on the disk: Append will look for it. It is
// for what has been stored elsewhere.
func (l *Log) Overdraw(size int) {
	l.mu.Lock()
	l.reserve(charge(size))
	l.mu.Unlock()
}

// reserve books a charge. With l.mu.
func (l *Log) reserve(c int64) {
	l.reserved += c
	l.largest = max(l.largest, c)
}

// unreserve ends a charge. With l.mu.
func (l *Log) unreserve(c int64) {
	if l.reserved -= c; l.reserved == 0 {
		l.largest = 0
	}
}

// Release gives the space of a block of that size back.
func (l *Log) Release(size int) {
	l.mu.Lock()
	l.unreserve(charge(size))
	l.mu.Unlock()
}

// short is how many bytes more should be prepared: so much ahead that a burst
// of reservations finds space while the next segments are allocated. With l.mu.
func (l *Log) short() int64 {
	if !l.cfg.Ahead {
		return 0
	}
	ahead := max(l.cfg.SegmentBytes/2, l.reserved, l.wanted)
	return max(0, l.reserved+ahead-l.spare(l.wanted))
}
