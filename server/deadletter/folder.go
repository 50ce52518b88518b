package deadletter

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is one file of frames. Owned by the store's mutex, but name, kind and
// sequence never change.
type file struct {
	name     string
	kind     Kind
	sequence int64

	size    int64 // charged for it
	start   int64 // frames before this offset have their fate
	end     int64 // offset after the last whole frame
	left    int   // frames from start to end
	sealed  bool  // nothing more is appended
	damaged bool  // something lies behind end: set aside when it is delivered
	unread  bool  // it could not be opened: start, end and left are not known
	busy    bool  // Replay has it
	gone    bool  // no longer accounted for

	notBefore time.Time // it could not be read or removed: not delivered before
	told      bool      // that it could not was logged
}

// surveyor reads a folder. With fix it also repairs what a crash has left, for
// which the folder must be locked. Owned by one goroutine.
type surveyor struct {
	disk disk
	dir  string
	fix  bool
	max  int // largest body that can be a frame cut off by a crash
	warn func(text, file string, attrs ...any)
}

// survey returns the files of a folder by sequence, and the highest sequence
// that any name in it has. It reads every file once, in pieces: lengths are
// the only way to know where frames are, and how many.
func (v *surveyor) survey() (files []*file, highest int64, err error) {
	names, err := os.ReadDir(v.dir)
	if err != nil {
		return nil, 0, err
	}
	present := map[string]bool{}
	for _, e := range names {
		if k, sequence, ours := parseName(e.Name()); ours && e.Type().IsRegular() {
			present[e.Name()] = true
			highest = max(highest, sequence)
			files = append(files, &file{name: e.Name(), kind: k, sequence: sequence, sealed: true})
		}
	}
	if v.fix {
		v.removeOrphans(names, present)
	}
	slices.SortFunc(files, func(a, b *file) int {
		return cmp.Or(cmp.Compare(a.sequence, b.sequence), strings.Compare(a.name, b.name))
	})
	newest := map[Kind]*file{}
	for _, f := range files {
		newest[f.kind] = f
	}
	kept := files[:0]
	for _, f := range files {
		if keep, err := v.inspect(f, newest[f.kind] == f); err != nil {
			return nil, 0, err
		} else if keep {
			kept = append(kept, f)
		}
	}
	return kept, highest, nil
}

// removeOrphans deletes the cursors whose files are gone, and half-written ones.
func (v *surveyor) removeOrphans(names []fs.DirEntry, present map[string]bool) {
	for _, e := range names {
		base, isTemp := strings.CutSuffix(e.Name(), suffixCursor+suffixTemp)
		if !isTemp {
			var isCursor bool
			if base, isCursor = strings.CutSuffix(e.Name(), suffixCursor); !isCursor || present[base+suffixFrames] {
				continue
			}
		}
		if k, _, ours := parseName(base + suffixFrames); ours && k == Waiting {
			if err := v.disk.remove(filepath.Join(v.dir, e.Name())); err != nil {
				v.warn("a cursor that is left over cannot be removed", e.Name(), "error", err)
			}
		}
	}
}

// inspect finds out what is in a file. False: there is nothing in it, and it
// was removed. The error is that of a repair without which we cannot go on.
func (v *surveyor) inspect(f *file, newest bool) (keep bool, err error) {
	path := filepath.Join(v.dir, f.name)
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	f.size = st.Size()
	if f.kind == Damaged {
		return true, nil
	}
	src, err := v.disk.open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil { // it is looked at again when it is its turn
		v.warn("a dead-letter file cannot be opened", f.name, "error", err)
		f.unread = true
		return true, nil
	}
	defer src.Close()
	v.read(f, src, newest)
	if !v.fix || f.left > 0 || f.damaged && f.end > 0 {
		return true, nil
	}
	return v.tidy(f)
}

// read finds out where the frames of a file begin and end.
func (v *surveyor) read(f *file, src source, newest bool) {
	var err error
	if f.kind == Waiting {
		if f.start, err = loadCursor(v.dir, f.name, src); err != nil {
			v.warn("the cursor of a dead-letter file is not believed; what was delivered of it is delivered again", f.name, "reason", err)
		}
	}
	c := take(&reader{src: src, end: f.size}, f.start)
	if !c.found {
		if f.start > 0 {
			v.warn("the cursor of a dead-letter file points to no frame; what was delivered of it is delivered again", f.name, "cursor", f.start)
		}
		f.start = 0
	}
	f.end, f.left = c.end, c.packets
	if c.err != nil {
		v.judge(f, c.err, newest)
	}
}

// judge decides what it means that a file does not end with a whole frame. A
// newest file that ends inside a frame was being written when the process
// ended, and is cut. Anything else is damage, of which nothing is destroyed.
func (v *surveyor) judge(f *file, why error, newest bool) {
	lost := f.size - f.end
	f.damaged = true
	if !errors.Is(why, errTorn) || !newest || lost > int64(v.max) {
		v.warn("a dead-letter file is damaged; what comes before the damage is delivered, then it is set aside",
			f.name, "offset", f.end, "error", why)
		return
	}
	if !v.fix {
		f.damaged = false
		return
	}
	if err := v.disk.cut(filepath.Join(v.dir, f.name), f.end); err != nil {
		v.warn("the torn end of a dead-letter file cannot be cut off", f.name, "offset", f.end, "error", err)
		return
	}
	f.damaged, f.size = false, f.end
	v.warn("the last packet in a dead-letter file was not written whole before a crash, and was cut off",
		f.name, "offset", f.end, "bytes", lost)
}

// tidy removes a file of which nothing is left, or sets it aside when all of it
// is damage.
func (v *surveyor) tidy(f *file) (keep bool, err error) {
	if !f.damaged {
		return false, removeFile(v.disk, v.dir, f)
	}
	name, err := setAside(v.disk, v.dir, f)
	if err != nil {
		return false, err
	}
	v.warn("a dead-letter file holds no packet and was set aside", name)
	f.name, f.kind = name, Damaged
	return true, nil
}

// removeFile deletes a file, durably, and then its cursor. One that is gone
// already is no error.
func removeFile(d disk, dir string, f *file) error {
	if err := d.remove(filepath.Join(dir, f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.syncDir(dir); err != nil {
		return err
	}
	return removeCursor(d, dir, f)
}

func removeCursor(d disk, dir string, f *file) error {
	if f.kind != Waiting {
		return nil
	}
	if err := d.remove(filepath.Join(dir, cursorName(f.name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// setAside renames a damaged file to a name that nobody has, and returns it.
// One that is gone already is fs.ErrNotExist.
func setAside(d disk, dir string, f *file) (string, error) {
	name := strings.TrimSuffix(f.name, suffixFrames) + suffixBad
	for n := 1; ; n++ {
		if _, err := os.Lstat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
		name = fmt.Sprintf("%s%s.%d", strings.TrimSuffix(f.name, suffixFrames), suffixBad, n)
	}
	if err := d.rename(filepath.Join(dir, f.name), filepath.Join(dir, name)); err != nil {
		return "", err
	}
	if err := d.syncDir(dir); err != nil {
		return "", err
	}
	return name, removeCursor(d, dir, f)
}
