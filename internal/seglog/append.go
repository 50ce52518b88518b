package seglog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"time"
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
