package deadletter

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// writer is the state of the store's goroutine. Owned by that goroutine.
type writer struct {
	store     *Store
	appenders [2]appender // by slot
	queue     [2][]*chunk // taken over from pending, oldest first
	sweptAt   time.Time
	wasFull   bool
	failures  int // consecutive
}

func (w *writer) open(s *Store) {
	w.store = s
	w.appenders[slot(false)] = appender{store: s, kind: Waiting}
	w.appenders[slot(true)] = appender{store: s, kind: Refused}
}

// write is the store's goroutine: everything is written as soon as it comes,
// and what comes during an fsync goes with the next.
func (s *Store) write() {
	var ctx context.Context // of Close
	for {
		err := s.step()
		s.report(err)
		if ctx != nil && (err == nil || ctx.Err() != nil) {
			s.conclude(err)
			return
		}
		wake, pause := s.wake, s.rhythm.sweep
		if err != nil { // more to write is no reason to try again sooner
			wake, pause = nil, s.out.backoff(s.rhythm)
		}
		timer := time.NewTimer(pause)
		var gaveUp <-chan struct{}
		if ctx != nil {
			gaveUp = ctx.Done()
		}
		select {
		case <-wake:
		case <-timer.C:
		case ctx = <-s.finish:
		case <-gaveUp:
		}
		timer.Stop()
	}
}

func (w *writer) backoff(r rhythm) time.Duration {
	d := min(r.writeRetryMax, r.writeRetryMin<<min(w.failures, 16))
	w.failures++
	return d/2 + rand.N(d/2+1)
}

// step writes all that there is, or returns why it cannot.
func (s *Store) step() error {
	if s.lock == nil {
		if err := s.prepare(); err != nil {
			return err
		}
	}
	s.out.sweep()
	for {
		more, err := s.out.batch()
		if errors.Is(err, fs.ErrNotExist) { // the folder itself: we have the file open
			s.abandonFolder()
		}
		if err != nil || !more {
			return err
		}
	}
}

// report logs and tells a change of whether the folder can be written.
func (s *Store) report(err error) {
	s.mu.Lock()
	was := s.failure
	s.failure = err
	s.mu.Unlock()
	s.writable.Store(err == nil)
	switch {
	case err == nil:
		s.out.failures = 0
		if was != nil {
			s.log.Info("dead letters can be written again", "folder", s.cfg.Dir)
		}
	case was == nil:
		s.log.Error("dead letters cannot be written; packets are not answered 202 until they can be", "folder", s.cfg.Dir, "error", err)
	}
}

// batch writes one batch of each kind. False: nothing is left to write.
func (w *writer) batch() (more bool, err error) {
	s := w.store
	s.mu.Lock()
	for i := range w.queue {
		w.queue[i] = append(w.queue[i], s.pending[i].chunks...)
		s.pending[i].chunks = nil
	}
	sealing := s.wantSeal
	s.mu.Unlock()
	for i := range w.queue {
		if len(w.queue[i]) > 0 {
			more = true
			err = errors.Join(err, w.flush(i))
		}
	}
	if err == nil && !more && sealing {
		err = w.sealLetters()
	}
	return more, err
}

// flush writes the head of a queue and takes what is safe from it.
func (w *writer) flush(i int) error {
	a, queue := &w.appenders[i], w.queue[i]
	n, bytes := 0, 0
	for n < len(queue) && (n == 0 || bytes+len(queue[n].frames) <= batchBytes) {
		bytes += len(queue[n].frames)
		n++
	}
	kept, size, err := a.append(queue[:n])
	if kept > 0 {
		w.commit(i, a.cur, queue[:kept], size)
		w.queue[i] = slices.Delete(queue, 0, kept)
	}
	if err == nil && kept == n {
		return nil
	}
	if errors.Is(err, errDeleted) {
		w.store.deletedByHand(a.cur)
		err = nil // and once more, to a new file
	}
	w.ended(a.cur)
	if err != nil {
		a.drop()
		return err
	}
	return a.close() // full
}

// commit publishes what is safe in a file.
func (w *writer) commit(i int, f *file, chunks []*chunk, size int64) {
	s := w.store
	s.mu.Lock()
	if f.size == 0 {
		s.add(f) // of size 0: what is written was charged when it was reserved
	}
	grown := size - f.end
	f.end, f.size = size, size
	s.fileBytes += grown
	s.reserved.Add(-grown)
	s.unsafe.Add(-grown)
	for _, c := range chunks {
		f.left += c.packets
		s.pending[i].packets -= c.packets
	}
	if s.pending[0].packets == 0 {
		s.pendingAt = time.Time{}
	}
	s.mu.Unlock()
	for _, c := range chunks {
		for _, kept := range c.kept {
			kept()
		}
	}
	nudge(s.changed)
}

// ended marks a file as one that nothing is appended to any more.
func (w *writer) ended(f *file) {
	if f == nil {
		return
	}
	s := w.store
	s.mu.Lock()
	f.sealed = true
	s.mu.Unlock()
	nudge(s.changed)
}

// deletedByHand accounts for a file that somebody has deleted.
func (s *Store) deletedByHand(f *file) {
	left := s.vanished(f)
	s.warn("a dead-letter file was deleted by somebody", f.name, "packets", left)
}

// vanished takes a file that is not there any more off the books, and returns
// how many packets waited in it.
func (s *Store) vanished(f *file) (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(f)
	isIt := func(g *file) bool { return g == f }
	s.letters = slices.DeleteFunc(s.letters, isIt)
	s.others = slices.DeleteFunc(s.others, isIt)
	return f.left
}

// sealLetters ends the file that is being appended to, so that it can be delivered.
func (w *writer) sealLetters() error {
	s, a := w.store, &w.appenders[slot(false)]
	s.mu.Lock()
	s.wantSeal = false
	s.mu.Unlock()
	f := a.cur
	err := a.close()
	w.ended(f)
	return err
}

// seal ends all files.
func (w *writer) seal() error {
	return errors.Join(w.appenders[0].close(), w.appenders[1].close())
}

// abandon ends all files of a folder that has vanished.
func (w *writer) abandon() {
	for i := range w.appenders {
		w.ended(w.appenders[i].cur)
		w.appenders[i].drop()
	}
}

// sweep looks now and then for what changes behind our back: the disk's free
// space, and files that somebody has deleted.
func (w *writer) sweep() {
	s := w.store
	if time.Since(w.sweptAt) < s.rhythm.sweep {
		return
	}
	w.sweptAt = time.Now()
	s.mu.Lock()
	known := slices.Concat(s.letters, s.others)
	s.mu.Unlock()
	for _, f := range known {
		s.mu.Lock()
		skip, name := f.gone || f.busy, f.name
		s.mu.Unlock()
		if skip {
			continue
		}
		if _, err := os.Lstat(filepath.Join(s.cfg.Dir, name)); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		s.mu.Lock()
		skip = f.gone || f.busy || f.name != name // Replay has taken it meanwhile
		s.mu.Unlock()
		if !skip {
			w.lostFile(f)
		}
	}
	s.measure()
	if full := s.full(); full != w.wasFull {
		w.wasFull = full
		if full {
			s.log.Warn("the dead-letter folder is full; packets are not answered 202 until there is room", "folder", s.cfg.Dir, "bytes", s.used.Load(), "max", s.limit.Load())
		} else {
			s.log.Info("the dead-letter folder has room again", "folder", s.cfg.Dir)
		}
	}
}

// lostFile ends a file that was found deleted.
func (w *writer) lostFile(f *file) {
	for i := range w.appenders {
		if a := &w.appenders[i]; a.cur == f {
			w.ended(f)
			a.drop()
		}
	}
	w.store.deletedByHand(f)
}

// measure lowers the limit to what the disk can still take.
func (s *Store) measure() {
	limit := s.cfg.MaxBytes
	if free, err := s.disk.free(s.cfg.Dir); err == nil {
		s.mu.Lock()
		limit = min(limit, s.fileBytes+free)
		s.mu.Unlock()
	}
	s.limit.Store(limit)
}
