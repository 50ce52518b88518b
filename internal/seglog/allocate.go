package seglog

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// active returns the segment to append to.
func (w *writer) active() (*segment, error) {
	l := w.log
	l.mu.Lock()
	var s *segment
	if len(l.prepared) > 0 {
		s = l.prepared[0]
	}
	l.mu.Unlock()
	if s != nil {
		return s, nil
	}
	return w.allocate(w.need(), l.cfg.SegmentBytes)
}

// need is the size of a segment that the head of the queue fits into.
func (w *writer) need() int64 {
	least := int64(0)
	if len(w.queue) > 0 {
		least = segmentHeaderBytes + sealBytes + batchSize(1, int64(w.queue[0].lengths[0]))
	}
	return least
}

// rotate seals a segment that the next block does not fit into. The next one
// is there before: on a full disk sealing must not break what is promised.
func (w *writer) rotate(s *segment) error {
	l := w.log
	l.mu.Lock()
	next := len(l.prepared) > 1
	l.mu.Unlock()
	if !next {
		if _, err := w.allocate(w.need(), l.cfg.SegmentBytes); err != nil {
			return err
		}
	}
	w.end(s, true)
	return nil
}

// end ends a segment. In good order it is sealed; after an error anything may
// be behind its end, and as much as the disk allows is cut off.
func (w *writer) end(s *segment, good bool) {
	l := w.log
	f := w.files[s]
	delete(w.files, s)
	l.mu.Lock()
	l.closeSegment(s)
	end := s.end
	l.mu.Unlock()
	if good {
		seal := appendBatch(nil, s.sequence, end, nil, nil)
		if n, err := f.WriteAt(seal, end); err == nil && n == len(seal) {
			end += sealBytes
		}
	}
	if f.Truncate(end) == nil && f.Sync() == nil {
		l.mu.Lock()
		if !s.gone {
			l.allocated += end - s.size
			s.size = end
		}
		l.mu.Unlock()
	}
	_ = f.Close() // all that counts is durable
	l.retire(s)
	nudge(l.changed)
}

// allocate prepares a segment of a size, or a smaller one that is large enough,
// on a disk that has little left.
func (w *writer) allocate(least, size int64) (*segment, error) {
	l := w.log
	least = max(least, minSegmentBytes)
	size = max(least, size)
	for {
		s, err := w.create(size)
		if err == nil {
			l.mu.Lock()
			l.add(s)
			l.mu.Unlock()
			return s, nil
		}
		if size == least || !isFull(err) {
			return nil, err
		}
		size = max(least, size/2)
	}
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// create makes a segment whose space is allocated and whose name is durable.
func (w *writer) create(size int64) (*segment, error) {
	l := w.log
	l.mu.Lock()
	l.sequence = max(l.sequence+1, time.Now().UnixMicro())
	s := &segment{name: segmentName(l.cfg.Prefix, l.sequence), sequence: l.sequence, size: size, end: segmentHeaderBytes, open: true}
	l.mu.Unlock()
	f, err := l.fs.Create(l.path(s.name))
	if err != nil {
		return nil, err
	}
	if err = f.Allocate(size); err == nil {
		var n int
		if n, err = f.WriteAt(appendSegmentHeader(nil, s.sequence), 0); err == nil && n < segmentHeaderBytes {
			err = io.ErrShortWrite
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.fs.SyncDir(l.cfg.Dir)
	}
	if err != nil {
		_ = f.Close()
		_ = l.fs.Remove(l.path(s.name)) // an empty segment is in nobody's way
		return nil, err
	}
	if w.files == nil {
		w.files = map[*segment]File{}
	}
	w.files[s] = f
	return s, nil
}

// provide allocates ahead of reservations, within the limit. An error is no
// reason to refuse what is reserved: that has its space.
func (w *writer) provide() error {
	l := w.log
	if time.Since(w.wantedAt) < l.cfg.Rhythm.Sweep {
		return nil // a full disk is not asked again at once
	}
	for {
		l.mu.Lock()
		short := l.short()
		// So large that what is wanted fits then, although a part of each prepared
		// segment is where it does not; see fits.
		least := int64(minSegmentBytes)
		if l.wanted > 0 {
			largest := max(l.largest, l.wanted)
			least = max(least, segmentHeaderBytes+sealBytes+l.reserved+l.wanted+int64(len(l.prepared)+1)*largest-l.free)
		}
		left := l.limit - l.allocated
		l.mu.Unlock()
		if short == 0 || left < least {
			return nil
		}
		if _, err := w.allocate(least, min(l.cfg.SegmentBytes, left)); err != nil {
			w.wantedAt = time.Now()
			return err
		}
	}
}
