package seglog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// chunk is blocks back to back. Owned by the writer once it has it.
type chunk struct {
	lengths []uint32
	body    []byte
	done    []func(error) // one each, or nil
}

// Append appends a block whose space is reserved. It copies it and does not
// wait for the disk; done, if not nil, is called by the log's goroutine: with
// nil once the block is durable, or with an error that is [ErrClosed] if the
// log was closed before. done must not block.
func (l *Log) Append(block []byte, done func(error)) {
	l.mu.Lock()
	if l.closed || len(block) > maxBodyBytes {
		l.unreserve(charge(len(block)))
		l.mu.Unlock()
		if done != nil {
			done(ErrClosed)
		}
		return
	}
	if l.waiting == 0 {
		l.pendingAt = time.Now()
	}
	last := len(l.pending) - 1
	if last < 0 || len(l.pending[last].body)+len(block) > batchBytes || len(l.pending[last].lengths) == maxBatchBlocks {
		l.pending = append(l.pending, &chunk{})
		last++
	}
	c := l.pending[last]
	c.lengths = append(c.lengths, uint32(len(block)))
	c.body = append(c.body, block...)
	c.done = append(c.done, done)
	l.waiting++
	l.unsafe += int64(len(block))
	l.mu.Unlock()
	nudge(l.wake)
}

// writer is the state of the log's goroutine. Owned by that goroutine.
type writer struct {
	log   *Log
	queue []*chunk // taken over from pending, oldest first
	files map[*segment]File
	buf   []byte

	sweptAt  time.Time
	wantedAt time.Time // when space was looked for in vain
	failures int       // consecutive
	wasFull  bool
}

// errDeleted says that somebody has deleted the segment that is written.
var errDeleted = errors.New("the segment was deleted while it was written")

// write is the log's goroutine: everything is written as soon as it comes, and
// what comes during an fsync goes with the next.
func (l *Log) write() {
	var ctx context.Context // of Close
	for {
		err := l.step()
		l.report(err)
		if ctx != nil && (err == nil || ctx.Err() != nil) {
			l.conclude(err)
			return
		}
		wake, pause := l.wake, l.cfg.Rhythm.Sweep
		if err != nil { // more to write is no reason to try again sooner
			wake, pause = nil, l.w.backoff(ctx != nil)
		}
		timer := time.NewTimer(pause)
		var gaveUp <-chan struct{}
		if ctx != nil {
			gaveUp = ctx.Done()
		}
		select {
		case <-wake:
		case <-timer.C:
		case ctx = <-l.finish:
		case <-gaveUp:
		}
		timer.Stop()
	}
}

// backoff grows, but not while somebody waits for the end.
func (w *writer) backoff(closing bool) time.Duration {
	r := w.log.cfg.Rhythm
	d := min(r.RetryMax, r.RetryMin<<min(w.failures, 16))
	w.failures++
	if closing {
		d = r.RetryMin
	}
	return d/2 + rand.N(d/2+1)
}

// step writes all that there is, or returns why it cannot.
func (l *Log) step() error {
	l.mu.Lock()
	ready := l.ready
	l.mu.Unlock()
	if !ready {
		if err := l.prepare(); err != nil {
			return err
		}
	}
	w := &l.w
	for {
		l.mu.Lock()
		w.queue = append(w.queue, l.pending...)
		l.pending = nil
		l.mu.Unlock()
		if len(w.queue) == 0 {
			break
		}
		err := w.flush()
		if errors.Is(err, fs.ErrNotExist) { // the folder itself: we create in it
			l.abandon()
		}
		if err != nil {
			return err
		}
	}
	if err := w.provide(); errors.Is(err, fs.ErrNotExist) {
		l.abandon()
		return err
	}
	w.sweep()
	return nil
}

// report logs and tells a change of whether the folder can be written.
func (l *Log) report(err error) {
	l.mu.Lock()
	was := l.failure
	l.failure = err
	l.mu.Unlock()
	switch {
	case err == nil:
		l.w.failures = 0
		if was != nil {
			l.log.Info("the folder can be written again", "folder", l.cfg.Dir, "log", l.cfg.Prefix)
		}
	case was == nil:
		l.log.Error("the folder cannot be written; nothing is promised until it can be", "folder", l.cfg.Dir, "log", l.cfg.Prefix, "error", err)
	}
}

// flush writes the head of the queue to the first prepared segment, and takes
// what is durable from the queue.
func (w *writer) flush() error {
	l := w.log
	s, err := w.active()
	if err != nil {
		return err
	}
	off, total, blocks := s.end, 0, 0
	var charges, bytes int64
	q := 0 // chunk
	for ; q < len(w.queue) && total < syncBytes; q++ {
		c := w.queue[q]
		n, size := c.fit(s.size - sealBytes - off)
		if n == 0 {
			break
		}
		w.buf = appendBatch(w.buf[:0], s.sequence, s.end, c.lengths[:n], c.body[:size])
		got, werr := w.files[s].WriteAt(w.buf, off)
		if werr == nil && got < len(w.buf) {
			werr = io.ErrShortWrite
		}
		if werr != nil {
			err = werr
			break
		}
		off += int64(len(w.buf))
		total += len(w.buf)
		blocks += n
		bytes += size
		charges += size + int64(n)*chargeBytes
		if n < len(c.lengths) {
			break
		}
	}
	if cap(w.buf) > 4*batchBytes {
		w.buf = nil
	}
	if err == nil && blocks == 0 {
		return w.rotate(s)
	}
	if err == nil {
		err = w.files[s].Sync()
	}
	if err == nil && !w.files[s].Linked() {
		err = errDeleted
	}
	if err != nil {
		w.end(s, false)
		if errors.Is(err, errDeleted) {
			l.vanished(s)
			return nil // and once more, to another segment
		}
		return err
	}
	w.commit(s, off, blocks, bytes, charges)
	return nil
}

// fit is how many blocks of a chunk fit into so many bytes, and their size.
func (c *chunk) fit(free int64) (blocks int, bytes int64) {
	for _, n := range c.lengths {
		if batchSize(blocks+1, bytes+int64(n)) > free {
			break
		}
		blocks++
		bytes += int64(n)
	}
	return blocks, bytes
}

// commit publishes what is durable.
func (w *writer) commit(s *segment, end int64, blocks int, bytes, charges int64) {
	l := w.log
	var done []func(error)
	for left := blocks; left > 0; {
		c := w.queue[0]
		n := min(left, len(c.lengths))
		done = append(done, c.done[:n]...)
		left -= n
		if n == len(c.lengths) {
			w.queue = w.queue[1:]
			continue
		}
		size := 0
		for _, k := range c.lengths[:n] {
			size += int(k)
		}
		c.lengths, c.body, c.done = c.lengths[n:], c.body[size:], c.done[n:]
	}
	l.mu.Lock()
	l.free -= s.free()
	s.end = end
	l.free += s.free()
	s.left += blocks
	l.waiting -= blocks
	l.unsafe -= bytes
	l.unreserve(charges)
	l.mu.Unlock()
	for _, f := range done {
		if f != nil {
			f(nil)
		}
	}
	nudge(l.changed)
}

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

// sweep looks now and then for what changes behind our back, syncs marks, and
// tries again what failed.
func (w *writer) sweep() {
	l := w.log
	if time.Since(w.sweptAt) < l.cfg.Rhythm.Sweep {
		return
	}
	w.sweptAt = time.Now()
	l.mu.Lock()
	known := slices.Clone(l.segments)
	full := l.wanted > 0 && !l.fits(l.wanted)
	l.mu.Unlock()
	for _, s := range known {
		if there, err := l.fs.Exists(l.path(s.name)); err == nil && !there {
			if w.files[s] != nil {
				w.end(s, false)
			}
			l.vanished(s)
			continue
		}
		l.mu.Lock()
		spent := s.open && s.left == 0 && s.end > segmentHeaderBytes+l.cfg.SegmentBytes/2
		dirty := s.dirty && !s.gone
		s.dirty = false
		l.mu.Unlock()
		if dirty {
			l.syncMarks(s)
		}
		if spent {
			w.end(s, true)
			continue
		}
		l.retire(s)
	}
	if full != w.wasFull {
		w.wasFull = full
		if full {
			l.log.Warn("there is no space for another promise", "folder", l.cfg.Dir, "log", l.cfg.Prefix)
		} else {
			l.log.Info("there is space again", "folder", l.cfg.Dir, "log", l.cfg.Prefix)
		}
	}
}

// syncMarks makes the marks of a segment durable. A mark that is lost is a block
// that comes again, so an error changes nothing.
func (l *Log) syncMarks(s *segment) {
	if f, err := l.fs.Open(l.path(s.name)); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
}

// abandon forgets the segments of a folder that has vanished.
func (l *Log) abandon() {
	for _, f := range l.w.files {
		_ = f.Close() // it has no name any more
	}
	clear(l.w.files)
	l.read.dropAll()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range slices.Clone(l.segments) {
		l.forget(s)
	}
	clear(l.aside)
	l.ready = false
}

// Close writes and syncs what is pending and ends the log. It tries until ctx
// ends, and once more; then the error says how many blocks are lost, and why.
// Calling it again waits for the same end.
func (l *Log) Close(ctx context.Context) error {
	l.stop.Do(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		l.finish <- ctx
	})
	<-l.ended
	return l.err
}

// conclude is the end of the writer, after its last write.
func (l *Log) conclude(err error) {
	l.mu.Lock()
	lost := l.waiting
	open := slices.Clone(l.prepared)
	l.mu.Unlock()
	if lost > 0 {
		l.err = fmt.Errorf("%w: %d blocks could not be written: %w", ErrClosed, lost, err)
	}
	for _, c := range append(l.w.queue, l.pending...) {
		for _, f := range c.done {
			if f != nil {
				f(l.err)
			}
		}
	}
	for _, s := range open {
		l.w.end(s, true)
	}
	l.mu.Lock()
	segments := slices.Clone(l.segments)
	l.mu.Unlock()
	for _, s := range segments {
		l.mu.Lock()
		dirty := s.dirty
		l.mu.Unlock()
		if dirty {
			l.syncMarks(s)
		}
	}
	l.read.dropAll()
	close(l.ended)
}
