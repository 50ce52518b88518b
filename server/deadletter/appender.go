package deadletter

import (
	"errors"
	"io"
	"path/filepath"
	"time"
)

// errDeleted says that somebody has deleted the file that is written.
var errDeleted = errors.New("the file was deleted while it was written")

// appender writes chunks to the end of the newest file of one kind, and begins
// a new one when it is full or when anything went wrong with it. What it has
// not reported as kept may be in the file or not, in whole frames or not; it is
// cut off as well as the disk allows, and never counted. Owned by the writer.
type appender struct {
	store *Store
	kind  Kind
	cur   *file // nil: none is open
	h     handle
}

// append writes as many chunks as fit into one file and fsyncs them. It returns
// how many of them are safe now; the file's end is theirs to publish (commit).
func (a *appender) append(chunks []*chunk) (kept int, size int64, err error) {
	if a.h == nil {
		if err := a.create(); err != nil {
			return 0, 0, err
		}
	}
	size = a.cur.end
	for kept < len(chunks) {
		c := chunks[kept].frames
		if size > 0 && size+int64(len(c)) > fileBytes {
			break
		}
		n, werr := a.h.Write(c)
		if werr == nil && n < len(c) {
			werr = io.ErrShortWrite
		}
		if werr != nil {
			err = werr
			break
		}
		size += int64(len(c))
		kept++
	}
	if err != nil {
		if cerr := a.h.Truncate(size); cerr != nil {
			kept, err = 0, errors.Join(err, cerr)
		}
	}
	if serr := a.h.Sync(); serr != nil {
		kept, err = 0, errors.Join(err, serr)
	}
	if !a.h.linked() {
		kept, err = 0, errors.Join(err, errDeleted)
	}
	if kept == 0 {
		size = a.cur.end
	}
	return kept, size, err
}

// create begins a file. It is durable before anything in it counts.
func (a *appender) create() error {
	s := a.store
	s.mu.Lock()
	s.sequence = max(s.sequence+1, time.Now().UnixMicro())
	f := &file{kind: a.kind, sequence: s.sequence, name: fileName(a.kind, s.sequence)}
	s.mu.Unlock()
	path := filepath.Join(s.cfg.Dir, f.name)
	h, err := s.disk.create(path)
	if err != nil {
		return err
	}
	if err := s.disk.syncDir(s.cfg.Dir); err != nil {
		_ = s.disk.remove(path) // an empty file is in nobody's way
		return errors.Join(err, h.Close())
	}
	a.cur, a.h = f, h
	return nil
}

// drop ends the file after an error: behind its end may be anything.
func (a *appender) drop() {
	if a.h == nil {
		return
	}
	end := a.cur.end
	_ = a.h.Truncate(end) // what cannot be cut off now is found by the next survey
	_ = a.h.Sync()
	_ = a.h.Close()
	if end == 0 {
		_ = a.store.disk.remove(filepath.Join(a.store.cfg.Dir, a.cur.name))
	}
	a.h, a.cur = nil, nil
}

// close ends the file in good order; everything in it is safe.
func (a *appender) close() error {
	if a.h == nil {
		return nil
	}
	err := a.h.Close()
	a.h, a.cur = nil, nil
	return err
}
