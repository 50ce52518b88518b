package tail

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"sluice/agent/checkpoint"
	"sluice/agent/ship"
)

// packed are the names of what rotations compress. Their bytes are no lines, and
// were read before they were compressed.
func packed(path string) bool {
	switch filepath.Ext(path) {
	case ".gz", ".zst", ".xz", ".bz2", ".lz4", ".zip":
		return true
	}
	return false
}

// scan looks for files: those that match, and at the first time those that were
// rotated away while no agent ran.
func (t *Tailer) scan(now time.Time) {
	for _, f := range t.files {
		f.matched = false
	}
	for _, pattern := range t.cfg.Patterns {
		// A pattern without wildcards is a path too, whose own problem must not be
		// taken for the pattern's and solved with it.
		key := "--file " + pattern
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.problem(key, "bad pattern", err)
			continue
		}
		found := false
		for _, path := range paths {
			if t.excluded(path, pattern) {
				continue
			}
			found = t.look(path, path == pattern, now) || found
		}
		switch {
		case found:
			t.solved(key)
		case t.cfg.Once:
			t.problem(key, "no file matches", nil)
		case t.first:
			t.cfg.Log.Info("no file matches yet", "pattern", pattern)
		}
	}
	t.pardon()
	if t.first {
		t.first = false
		t.search(now)
	}
	for _, f := range t.files {
		if f.matched {
			f.unmatched = time.Time{}
		} else if f.unmatched.IsZero() {
			f.unmatched = now
		}
	}
}

// pardon drops the problems of files that are no longer there.
func (t *Tailer) pardon() {
	for path := range t.complain {
		if !filepath.IsAbs(path) || slices.ContainsFunc(t.files, func(f *File) bool { return f.path == path }) {
			continue
		}
		if _, err := os.Lstat(path); os.IsNotExist(err) {
			t.solved(path)
		}
	}
}

func (t *Tailer) excluded(path, pattern string) bool {
	if packed(path) && path != pattern {
		return true
	}
	for _, e := range t.cfg.Exclude {
		if ok, _ := filepath.Match(e, filepath.Base(path)); ok {
			return true
		}
		if ok, _ := filepath.Match(e, path); ok {
			return true
		}
		if ok, _ := filepath.Match(e, absolute(path)); ok {
			return true
		}
	}
	return false
}

// look deals with one path that matches. A file that is open under another path
// is the same file, whatever it is called now. It returns false if there is
// nothing to ship: folders and pipes that a wildcard matches are passed over; one
// that was named is a mistake that has to be told.
func (t *Tailer) look(path string, named bool, now time.Time) bool {
	path = absolute(path)
	st, err := os.Stat(path)
	if err != nil {
		if !os.IsNotExist(err) {
			t.problem(path, "cannot be looked at", err)
			return true
		}
		return false
	}
	if !st.Mode().IsRegular() {
		if named {
			t.problem(path, "is no regular file and is not read: folders need a glob, pipes and sockets --stdin or --listen", nil)
		}
		return named
	}
	sys := st.Sys().(*syscall.Stat_t)
	key := inode{uint64(sys.Dev), sys.Ino}
	if f := t.lives[key]; f != nil {
		f.matched = true
		if f.path != path && !samePlace(f.path, key) {
			f.path = path
			f.remember()
		}
		return true
	}
	if f := t.open(path, now, nil); f != nil {
		f.matched = true
	}
	return true
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func samePlace(path string, key inode) bool {
	st, err := os.Stat(path)
	if err != nil {
		return false
	}
	sys := st.Sys().(*syscall.Stat_t)
	return key == inode{uint64(sys.Dev), sys.Ino}
}

// open begins to follow a file: one that is remembered where it was left, a new
// one at its beginning. only, if given, is the one file that it has to be.
func (t *Tailer) open(path string, now time.Time, only *checkpoint.File) *File {
	file, err := os.Open(path)
	if err != nil {
		if !os.IsNotExist(err) {
			t.problem(path, "cannot be opened", err)
		}
		return nil
	}
	st, err := statusOf(file)
	var buf [printBytes]byte
	var head []byte
	if err == nil {
		head, err = readHead(file, &buf)
	}
	if err != nil {
		t.problem(path, "cannot be read", err)
		file.Close()
		return nil
	}
	t.solved(path)
	rec, known := t.recall(file, st, head)
	if only != nil && (!known || rec.ID != only.ID) {
		file.Close()
		return nil
	}
	var f *File
	if known {
		f = t.resume(file, path, st, rec, now)
	} else {
		f = t.begin(file, path, path, st, t.sums.printOf(head), now)
	}
	if f.mid, err = midLine(file, f.pos); err != nil {
		t.problem(path, "cannot be read", err)
	}
	return f
}

// midLine says whether a position is within a line.
func midLine(f *os.File, pos int64) (bool, error) {
	if pos == 0 {
		return false, nil
	}
	var b [1]byte
	_, err := f.ReadAt(b[:], pos-1)
	return err == nil && b[0] != '\n', err
}

// Why a life has ended. A file that was truncated or replaced is another one
// from then on, although its inode is the same.
const (
	whyTruncated = "truncated"
	whyReplaced  = "replaced"
	whyGone      = "gone"
	whyFinished  = "finished"
)

// recall finds what is remembered of a file by its identity. What has the same
// inode and is not the same file has ended.
func (t *Tailer) recall(file *os.File, st status, head []byte) (checkpoint.File, bool) {
	same := t.cfg.Store.Find(func(r *checkpoint.File) bool {
		return r.Dev == st.dev && r.Ino == st.ino && r.Why != whyTruncated && r.Why != whyReplaced
	})
	for _, rec := range same {
		sameBirth := rec.Birth == 0 || st.birth == 0 || rec.Birth == st.birth
		if sameBirth && st.size >= rec.Acked && t.sums.matches(fingerprint{rec.Print, rec.PrintLen}, head) &&
			(st.size >= rec.Size || t.sameBytes(file, rec.Start, rec.Acked, rec.Sum)) {
			return rec, true
		}
		why := whyReplaced
		if sameBirth {
			why = whyTruncated
			t.missed(rec.Path, rec.Size-rec.Acked)
		} else if unread := rec.Size - rec.Acked; unread > 0 {
			t.lost.gone.Add(unread)
			t.cfg.Log.Warn("file was replaced unread", "path", rec.Path, "unread_bytes", unread)
		}
		t.cfg.Store.End(rec.ID, func(r *checkpoint.File) { r.Ended, r.Why, r.Cuts = time.Now(), why, nil })
	}
	return checkpoint.File{}, false
}

// resume follows a remembered file from where it was left; packets that may have
// been sent are cut where they were cut before.
func (t *Tailer) resume(file *os.File, path string, st status, rec checkpoint.File, now time.Time) *File {
	f := t.newFile(file, path, rec.Name, rec.ID, st, fingerprint{rec.Print, rec.PrintLen}, now)
	f.start, f.pos, f.sum, f.cuts = rec.Start, rec.Acked, rec.Sum, rec.Cuts
	f.ledger.reset(f.pos, f.sum)
	t.cfg.Store.Update(rec.ID, func(r *checkpoint.File) { r.Path, r.Real, r.Ended, r.Why = path, f.real, time.Time{}, "" })
	if rec.Acked == rec.Start && len(rec.Cuts) == 0 {
		t.suspect(f, now) // the last agent may have ended before it was sure
	}
	t.insert(f)
	t.cfg.Log.Debug("file: resumed", "path", path, "id", f.id, "offset", f.pos, "size", st.size)
	return f
}

// begin follows a file that nothing is remembered of.
func (t *Tailer) begin(file *os.File, path, name string, st status, p fingerprint, now time.Time) *File {
	f := t.newFile(file, path, name, newID(st, p, now), st, p, now)
	if t.first && t.cfg.FromEnd && t.cfg.Store.Fresh() {
		f.start = st.size
		f.pos = st.size
	}
	f.ledger.reset(f.pos, 0)
	t.suspect(f, now)
	t.cfg.Store.Begin(f.record())
	t.insert(f)
	t.cfg.Log.Debug("file: found", "path", path, "id", f.id, "offset", f.pos, "size", st.size)
	return f
}

func (t *Tailer) newFile(file *os.File, path, name, id string, st status, p fingerprint, now time.Time) *File {
	if name == "" {
		name = path
	}
	f := &File{
		t: t, file: file, path: path, name: name, id: id, inode: st.inode, birth: st.birth, print: p,
		origin: ship.NewOrigin(id, filepath.Base(name), append([]ship.Pair{{Key: "path", Value: name}}, t.cfg.Pairs...)...),
		batch:  t.cfg.Batch, split: t.cfg.Splitter, mtime: st.mtime, noticed: now, grew: now, poll: hotPoll, target: st.size, complained: -1,
	}
	f.setSize(st.size)
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
		f.real = real
	}
	return f
}

// search looks for files that were followed and that no pattern matches any
// more, by their inodes in the folders where they were, and where the symbolic
// links to them led. What is not found is gone. What is still where a pattern
// once matched it was not rotated: the patterns have changed, and it is left.
func (t *Tailer) search(now time.Time) {
	folders := map[string]map[inode]string{}
	for _, rec := range t.cfg.Store.Files() {
		if !rec.Ended.IsZero() || t.followed(rec.ID) {
			continue
		}
		path := ""
		for _, place := range []string{rec.Path, rec.Real} {
			dir := filepath.Dir(place)
			if place == "" || path != "" {
				continue
			}
			if folders[dir] == nil {
				folders[dir] = inodesIn(dir)
			}
			path = folders[dir][inode{rec.Dev, rec.Ino}]
		}
		if path != "" && path == rec.Name {
			if t.complain[path] == "" {
				t.cfg.Log.Info("file: no pattern matches it any more, it is left where it was", "path", path, "offset", rec.Acked)
			}
			continue
		}
		if path != "" && t.open(path, now, &rec) != nil {
			continue
		}
		unread := max(rec.Size-rec.Acked, 0)
		t.lost.gone.Add(unread)
		if unread > 0 {
			t.cfg.Log.Warn("file is gone unread", "path", rec.Path, "unread_bytes", unread)
		}
		t.cfg.Store.Update(rec.ID, func(r *checkpoint.File) { r.Ended, r.Why = now, whyGone })
	}
}

func (t *Tailer) followed(id string) bool {
	for _, f := range t.files {
		if f.id == id {
			return true
		}
	}
	return false
}

func inodesIn(dir string) map[inode]string {
	out := map[inode]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return out
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || packed(e.Name()) {
			continue
		}
		if st, err := e.Info(); err == nil {
			sys := st.Sys().(*syscall.Stat_t)
			out[inode{uint64(sys.Dev), sys.Ino}] = filepath.Join(dir, strings.TrimPrefix(e.Name(), "./"))
		}
	}
	return out
}
