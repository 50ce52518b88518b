package seglog

import (
	"context"
	"fmt"
	"slices"
	"time"
)

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
