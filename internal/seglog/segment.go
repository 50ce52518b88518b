package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// segment is one file of a log. Guarded by the log's mutex, but name and
// sequence never change.
type segment struct {
	name     string
	sequence int64

	size    int64 // allocated for it
	end     int64 // offset after the last durable batch
	left    int   // blocks that are not settled
	open    bool  // it may still be appended to
	damaged bool  // something in it cannot be read: it is set aside, not deleted
	unread  bool  // it could not be opened: end and left are not known
	gone    bool  // no longer accounted for
	dirty   bool  // marks were written since the last sync

	notBefore time.Time // it could not be read or removed: not tried before
	warned    bool      // that it could not was logged
}

// free is what may still be appended.
func (s *segment) free() int64 { return max(0, s.size-sealBytes-s.end) }

// maxFaultBytes bounds what is searched behind damage for the next batch.
const maxFaultBytes = 256 << 20

// errNoSegment says that a file is not a segment of this name.
var errNoSegment = errors.New("is not a segment")

// isDamage tells bytes that cannot be understood from a disk that cannot be
// read, which may be better later.
func isDamage(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, errNoSegment) }

// census is what a walk over a segment finds. Immutable.
type census struct {
	end     int64 // offset after the last whole batch
	left    int   // blocks that are not settled
	sealed  bool
	damaged bool  // something that was durable cannot be read
	torn    int64 // bytes at the end that were never durable
}

// readAheadBytes is read at once from a segment that is walked.
const readAheadBytes = 256 << 10

// window reads a file ahead. Owned by one goroutine.
type window struct {
	src  io.ReaderAt
	size int64
	buf  []byte
	at   int64
}

// bytes returns n bytes at an offset, borrowed until the next call. It
// allocates for what the file has, never for what a header declares; io.EOF:
// the file is shorter.
func (w *window) bytes(off, n int64) ([]byte, error) {
	if n < 0 || n > w.size-off {
		return nil, io.EOF
	}
	if off < w.at || off+n > w.at+int64(len(w.buf)) {
		size := min(max(n, readAheadBytes), w.size-off)
		if int64(cap(w.buf)) < size {
			w.buf = make([]byte, size)
		}
		got, err := w.src.ReadAt(w.buf[:size], off)
		w.at, w.buf = off, w.buf[:got]
		if int64(got) < n {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return w.buf[off-w.at : off-w.at+n], nil
}

// walk visits all batches of a segment and judges what lies between and behind
// them. What follows a batch that cannot be read was not durable either, unless
// a later batch says that the file was durable beyond that one.
func walk(src io.ReaderAt, size, sequence int64) (census, error) {
	w := &window{src: src, size: size}
	head, err := w.bytes(0, segmentHeaderBytes)
	if err != nil {
		if err == io.EOF {
			err = fmt.Errorf("%w: %d bytes", errNoSegment, size)
		}
		return census{}, err
	}
	if !isSegmentHeader(head, sequence) {
		return census{}, errNoSegment
	}
	c := census{end: segmentHeaderBytes}
	bad, skipped := int64(-1), 0 // where the first batch is that cannot be read, and blocks behind it
	for off := int64(segmentHeaderBytes); off+batchHeaderBytes <= size; {
		h, left, err := w.batch(off, sequence)
		if err != nil && !isDamage(err) {
			return c, err
		}
		if err != nil {
			if bad < 0 {
				bad = off
			}
			if off-bad > maxFaultBytes {
				break
			}
			off += alignBytes
			continue
		}
		off += h.size()
		if bad >= 0 && h.durable <= bad && !h.seal() { // perhaps written together with what is torn
			skipped += left
			continue
		}
		if bad >= 0 {
			c.damaged, bad = true, -1
			c.left, skipped = c.left+skipped, 0
		}
		c.end, c.left = off, c.left+left
		if h.seal() {
			c.sealed = true
			break
		}
	}
	if bad >= 0 {
		c.torn, err = w.used(bad)
	}
	return c, err
}

// batch reads a whole batch, and counts what is not settled in it.
func (w *window) batch(off, sequence int64) (h batchHeader, left int, err error) {
	b, err := w.bytes(off, batchHeaderBytes)
	if err != nil {
		return h, 0, err
	}
	h, ok := parseBatchHeader(b, sequence)
	if !ok {
		return h, 0, errNoSegment
	}
	if b, err = w.bytes(off, h.size()); err != nil {
		return h, 0, err
	}
	if !h.isBatch(b) {
		return h, 0, errNoSegment
	}
	for _, m := range b[batchHeaderBytes : batchHeaderBytes+h.blocks] {
		if decodeMark(m) != settledMark {
			left++
		}
	}
	return h, left, nil
}

// used is how much from an offset on is not zero: what a crash left behind.
func (w *window) used(off int64) (int64, error) {
	last := off
	for at := off; at < w.size; {
		n := min(readAheadBytes, w.size-at)
		b, err := w.bytes(at, n)
		if err != nil {
			return last - off, err
		}
		for i := len(b) - 1; i >= 0; i-- {
			if b[i] != 0 {
				last = at + int64(i) + 1
				break
			}
		}
		at += n
	}
	return last - off, nil
}

// cutLengths returns the blocks' offsets in a whole batch, one more than there
// are blocks.
func (h batchHeader) cutLengths(dst []int, b []byte) []int {
	lengths := b[batchHeaderBytes+h.blocks:]
	at := int(batchHeaderBytes + int64(h.blocks)*blockOverheadBytes)
	dst = append(dst[:0], at)
	for i := range h.blocks {
		at += int(binary.LittleEndian.Uint32(lengths[4*i:]))
		dst = append(dst, at)
	}
	return dst
}

func (l *Log) path(name string) string { return filepath.Join(l.cfg.Dir, name) }
