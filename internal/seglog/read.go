package seglog

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"slices"
	"sync"
	"time"
)

// ID names a block of one log for as long as the log is open. Immutable.
type ID struct {
	Segment int64 // sequence
	Batch   int64 // offset
	Index   int32 // in the batch
}

// Block is a block that is not settled.
type Block struct {
	ID   ID
	Data []byte // borrowed until the Reader's next call
	Mark uint8  // the last one given to Mark, or 0
}

// handles are the files that are read and marked. Safe for concurrent use.
type handles struct {
	log *Log

	mu    sync.Mutex
	files []handle // the most recently used last
}

type handle struct {
	s *segment
	f File
}

// open returns the file of a segment, which stays open for a while.
func (h *handles) open(s *segment) (File, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, o := range h.files {
		if o.s == s {
			h.files = append(slices.Delete(h.files, i, i+1), o)
			return o.f, nil
		}
	}
	f, err := h.log.fs.Open(h.log.path(s.name))
	if err != nil {
		return nil, err
	}
	if len(h.files) == openSegments {
		_ = h.files[0].f.Close() // its marks are synced by the sweep
		h.files = slices.Delete(h.files, 0, 1)
	}
	h.files = append(h.files, handle{s, f})
	return f, nil
}

func (h *handles) drop(s *segment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files = slices.DeleteFunc(h.files, func(o handle) bool {
		if o.s == s {
			_ = o.f.Close() // it was read, or is gone
		}
		return o.s == s
	})
}

func (h *handles) dropAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.files {
		_ = o.f.Close() // as above
	}
	h.files = nil
}

// find returns a segment by its sequence, or nil.
func (l *Log) find(sequence int64) *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if s.sequence == sequence {
			return s
		}
	}
	return nil
}

// after returns the oldest segment with a sequence from that on, in which there
// may be something to read.
func (l *Log) after(sequence int64) (s *segment, end int64, unread bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if s.sequence >= sequence && (s.left > 0 || s.unread) && !now.Before(s.notBefore) {
			return s, s.end, s.unread
		}
	}
	return nil, 0, false
}

// Reader reads the unsettled blocks of a log in the order of their appending.
// It never holds more than one batch. Owned by one goroutine.
type Reader struct {
	log      *Log
	sequence int64 // segment to read, or the first behind
	off      int64 // of the next batch in it; 0: its beginning
	index    int   // of the next block in batch

	seg   *segment // of batch
	batch batch
}

// batch is a whole batch in memory. Owned by its Reader.
type batch struct {
	at   int64 // offset; 0: none
	head batchHeader
	buf  []byte
	cuts []int
}

// NewReader returns a reader that stands before the oldest block.
func (l *Log) NewReader() *Reader { return &Reader{log: l} }

// Rewind goes back to the oldest block.
func (r *Reader) Rewind() { r.sequence, r.off, r.index, r.batch.at = 0, 0, 0, 0 }

// Next returns the next block that is durable and not settled; false: there is
// none now. Segments that cannot be read now are left out; Rewind finds them
// again.
func (r *Reader) Next() (Block, bool) {
	for {
		if r.batch.at > 0 && r.seg.sequence == r.sequence && r.off == r.batch.at {
			for r.index < r.batch.head.blocks {
				i := r.index
				r.index++
				if b, ok := r.block(i); ok {
					return b, true
				}
			}
			r.off += r.batch.head.size()
			r.index = 0
		}
		s, end, unread := r.log.after(r.sequence)
		if s == nil {
			return Block{}, false
		}
		if s.sequence != r.sequence {
			r.sequence, r.off, r.index = s.sequence, segmentHeaderBytes, 0
		}
		r.off = max(r.off, segmentHeaderBytes)
		var err error
		if unread {
			end, err = r.log.reread(s)
		}
		if err == nil {
			err = r.load(s, end)
		}
		if err != nil {
			r.failed(s, err)
		} else if r.batch.at == 0 { // nothing further in this segment now
			if r.log.isOpen(s) {
				return Block{}, false
			}
			r.sequence, r.off, r.index = s.sequence+1, 0, 0
		}
	}
}

func (l *Log) isOpen(s *segment) bool { l.mu.Lock(); defer l.mu.Unlock(); return s.open }

// block returns a block of the batch, unless it is settled.
func (r *Reader) block(i int) (Block, bool) {
	m := decodeMark(r.batch.buf[batchHeaderBytes+i])
	if m == settledMark {
		return Block{}, false
	}
	from, to := r.batch.cuts[i], r.batch.cuts[i+1]
	return Block{ID: ID{r.seg.sequence, r.batch.at, int32(i)}, Data: r.batch.buf[from:to:to], Mark: m}, true
}

// load reads the batch at r.off into memory; batch.at is 0 if there is none up
// to the end.
func (r *Reader) load(s *segment, end int64) error {
	r.batch.at = 0
	f, err := r.log.read.open(s)
	if err != nil {
		return err
	}
	for bad := int64(-1); r.off+batchHeaderBytes <= end; {
		err := r.read(f, s, r.off, end)
		if err == nil {
			if bad >= 0 {
				r.log.warn("damage in a segment was skipped", s, "offset", bad, "bytes", r.off-bad)
			}
			if r.seg = s; !r.batch.head.seal() {
				return nil
			}
			r.batch.at = 0
			break
		}
		if !isDamage(err) {
			return err
		}
		if bad < 0 {
			bad = r.off
			r.log.mu.Lock()
			s.damaged = true
			r.log.mu.Unlock()
		}
		r.off += alignBytes
		r.index = 0
	}
	if r.log.isOpen(s) {
		return nil
	}
	// What has not been found by now cannot be: the damage took it.
	r.log.exhausted(s)
	return nil
}

// read reads one batch.
func (r *Reader) read(f File, s *segment, off, end int64) error {
	b := &r.batch
	b.buf = slices.Grow(b.buf[:0], batchHeaderBytes)[:batchHeaderBytes]
	if err := readFull(f, b.buf, off); err != nil {
		return err
	}
	h, ok := parseBatchHeader(b.buf, s.sequence)
	if !ok || h.size() > end-off {
		return errNoSegment
	}
	if int64(cap(b.buf)) > 4*batchBytes && h.size() <= batchBytes {
		b.buf = nil
	}
	b.buf = slices.Grow(b.buf[:0], int(h.size()))[:h.size()]
	if err := readFull(f, b.buf, off); err != nil {
		return err
	}
	if !h.isBatch(b.buf) {
		return errNoSegment
	}
	b.head, b.at, b.cuts = h, off, h.cutLengths(b.cuts, b.buf)
	return nil
}

func readFull(f File, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// failed leaves a segment out that cannot be read now.
func (r *Reader) failed(s *segment, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		r.log.vanished(s)
	} else {
		r.log.read.drop(s)
		r.log.putOff(s, "a segment cannot be read", err)
	}
	r.sequence, r.off, r.index, r.batch.at = s.sequence+1, 0, 0, 0
}

// reread inspects a segment that could not be read before.
func (l *Log) reread(s *segment) (end int64, err error) {
	now := segment{name: s.name, sequence: s.sequence}
	if err := l.inspect(&now, false); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.allocated += now.size - s.size
	s.size, s.end, s.left, s.damaged, s.unread = now.size, now.end, now.left, now.damaged, false
	return s.end, nil
}

// exhausted counts what is left in a damaged segment again, now that its end
// was reached: blocks that are not readable are lost.
func (l *Log) exhausted(s *segment) {
	l.mu.Lock()
	damaged, size := s.damaged, s.size
	l.mu.Unlock()
	if !damaged {
		return
	}
	f, err := l.read.open(s)
	if err != nil {
		return
	}
	c, err := walk(f, size, s.sequence)
	if err != nil && !isDamage(err) {
		return
	}
	l.mu.Lock()
	lost := s.left - c.left
	s.left = c.left
	l.mu.Unlock()
	if lost > 0 {
		l.warn("blocks of a damaged segment cannot be read", s, "blocks", lost)
	}
	l.retire(s)
}

// Get returns a block again, which may be settled; borrowed as by Next.
func (r *Reader) Get(id ID) (Block, error) {
	s := r.log.find(id.Segment)
	if s == nil {
		return Block{}, fs.ErrNotExist
	}
	if r.batch.at != id.Batch || r.seg != s {
		f, err := r.log.read.open(s)
		if err != nil {
			return Block{}, err
		}
		// Next goes on where it was: it loads its batch again.
		sequence, off, index := r.sequence, r.off, r.index
		r.batch.at = 0
		err = r.read(f, s, id.Batch, math.MaxInt64)
		if err != nil {
			return Block{}, err
		}
		r.seg = s
		r.sequence, r.off, r.index = sequence, off, index
	}
	i := int(id.Index)
	if i < 0 || i >= r.batch.head.blocks {
		return Block{}, errNoSegment
	}
	from, to := r.batch.cuts[i], r.batch.cuts[i+1]
	return Block{ID: id, Data: r.batch.buf[from:to:to], Mark: decodeMark(r.batch.buf[batchHeaderBytes+i])}, nil
}

// Mark gives a block a mark from 0 to [MaxMark], which outlives the process. It
// survives kill -9 at once and a power failure from the next sweep on.
func (r *Reader) Mark(id ID, mark uint8) error { return r.put([]ID{id}, min(mark, MaxMark)) }

// Settle settles blocks, each once. It survives kill -9 at once and a power
// failure from the next sweep on; an error says that a restart would read the
// blocks again. Segments of which nothing is left are deleted.
func (r *Reader) Settle(ids []ID) error { return r.put(ids, settledMark) }

func (r *Reader) put(ids []ID, mark uint8) error {
	var errs error
	l := r.log
	for len(ids) > 0 {
		n := 1
		for n < len(ids) && ids[n].Segment == ids[0].Segment && ids[n].Batch == ids[0].Batch && ids[n].Index == ids[0].Index+int32(n) {
			n++
		}
		run := ids[:n]
		ids = ids[n:]
		s := l.find(run[0].Segment)
		if s == nil {
			continue // deleted by hand, or the folder has vanished
		}
		marks := make([]byte, n)
		for i := range marks {
			marks[i] = encodeMark(mark)
		}
		at := batchHeaderBytes + int64(run[0].Index)
		f, err := l.read.open(s)
		if err == nil {
			_, err = f.WriteAt(marks, run[0].Batch+at)
		}
		errs = errors.Join(errs, err)
		if r.batch.at == run[0].Batch && r.seg == s {
			copy(r.batch.buf[at:], marks)
		}
		l.mu.Lock()
		s.dirty = true
		if mark == settledMark {
			s.left -= n
		}
		l.mu.Unlock()
		l.retire(s)
	}
	return errs
}
