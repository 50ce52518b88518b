package deadletter

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"
)

// checkpoint saves the cursor if it has moved and the last one is old enough.
// A cursor that cannot be saved does not stop the delivery: on a full disk it
// is the delivery that makes room.
func (d *delivery) checkpoint(every time.Duration) {
	if d.low == d.saved || time.Since(d.savedAt) < every {
		return
	}
	d.savedAt = time.Now()
	err := saveCursor(d.store.disk, d.store.cfg.Dir, d.name, d.src, d.low)
	if err == nil {
		d.saved = d.low
	} else if d.saveErr == nil {
		d.store.warn("the cursor of a dead-letter file cannot be saved; a restart would deliver more of it again", d.name, "error", err)
	}
	d.saveErr = err
}

// finish gives the file its fate: removed when all of it was delivered, set
// aside when something in it cannot be understood, put off when the disk fails.
func (d *delivery) finish() {
	s, f := d.store, d.f
	d.finished = true
	if d.unreadable() {
		s.putOff(f, "cannot be read", d.failed)
		return
	}
	s.mu.Lock()
	damaged := f.damaged || d.failed != nil
	s.mu.Unlock()
	if !damaged {
		if err := removeFile(s.disk, s.cfg.Dir, f); err != nil {
			s.putOff(f, "is delivered and cannot be removed", err)
			return
		}
		s.vanished(f)
		return
	}
	name, err := setAside(s.disk, s.cfg.Dir, f)
	if errors.Is(err, fs.ErrNotExist) {
		s.vanished(f)
		return
	}
	if err != nil && name == "" {
		s.putOff(f, "is damaged and cannot be set aside", err)
		return
	}
	s.becomeDamaged(f, name)
	s.warn("a damaged dead-letter file was set aside; what came before the damage is delivered", name, "offset", d.pos, "error", d.failed)
}

// becomeDamaged moves a file that was set aside to the others.
func (s *Store) becomeDamaged(f *file, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.gone {
		return // the folder has vanished and was surveyed anew
	}
	f.gone = true // its bytes are the other's now
	s.letters = slices.DeleteFunc(s.letters, func(g *file) bool { return g == f })
	s.others = append(s.others, &file{name: name, kind: Damaged, sequence: f.sequence, size: f.size, sealed: true})
}

// end saves the cursor and lets go of the file. What is still in flight will
// be delivered again.
func (d *delivery) end() {
	d.settle(false, nil)
	s := d.store
	if !d.finished && d.first == d.next && d.exhausted() {
		d.finish()
	}
	s.mu.Lock()
	gone := d.f.gone
	d.f.busy = false
	s.mu.Unlock()
	if !gone {
		d.checkpoint(0)
	}
	_ = d.src.Close() // it was only read
	d.src = closed{}
}

// closed is the source of a delivery that has ended. Immutable.
type closed struct{}

func (closed) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }
func (closed) Close() error                      { return nil }
