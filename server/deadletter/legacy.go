package deadletter

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/seglog"
	"sluice/protocol"
)

// Files of earlier releases are frames back to back, with a cursor beside
// them. They are read here, copied into the logs, and deleted once the copy is
// durable. A crash in between repeats at most the file that was being copied.
const (
	legacyFrames = ".frames"
	legacyCursor = ".cursor"
	legacyBad    = ".frames.bad" // and perhaps a number
	legacyDigits = 16

	// legacyHead is how much of a file the checksum of its cursor covers.
	legacyHead = 4 << 10
)

// legacy is what of an earlier release is in the folder. Immutable.
type legacy struct {
	waiting, refused int // packets
	damaged          int // files
	bytes            int64
	oldest           time.Time // zero: none waits
}

// LegacyFile is a file of an earlier release. Immutable.
type LegacyFile struct {
	Name    string
	Refused bool
	Damaged bool // set aside
	Packets int  // that wait, or were refused
	Bytes   int64
	Since   time.Time

	start int64
}

// Legacy returns the files of an earlier release by age.
func Legacy(dir string) ([]LegacyFile, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []LegacyFile
	for _, e := range names {
		f, ours := legacyName(e.Name())
		st, err := e.Info()
		if !ours || err != nil || !st.Mode().IsRegular() {
			continue
		}
		f.Bytes = st.Size()
		if !f.Damaged {
			if !f.Refused {
				f.start = legacyStart(filepath.Join(dir, f.Name))
			}
			_ = f.Each(dir, func([]byte) error { f.Packets++; return nil }) // what can be read counts
		}
		list = append(list, f)
	}
	return list, nil
}

func legacyName(name string) (f LegacyFile, ours bool) {
	rest, letters := strings.CutPrefix(name, PrefixLetters+"-")
	if !letters {
		if rest, f.Refused = strings.CutPrefix(name, PrefixRefused+"-"); !f.Refused {
			return f, false
		}
	}
	if len(rest) < legacyDigits {
		return f, false
	}
	sequence, err := strconv.ParseInt(rest[:legacyDigits], 10, 64)
	if err != nil || sequence < 0 {
		return f, false
	}
	f.Name, f.Since = name, seglog.CreatedAt(sequence)
	rest = rest[legacyDigits:]
	f.Damaged = strings.HasPrefix(rest, legacyBad)
	return f, f.Damaged || rest == legacyFrames
}

// legacyStart is the offset of a file's cursor, and 0 if there is none that can
// be believed: twice is better than never.
func legacyStart(path string) int64 {
	text, err := os.ReadFile(legacyCursorOf(path))
	if err != nil {
		return 0
	}
	var c struct {
		Offset int64  `json:"offset"`
		Head   uint32 `json:"head"`
	}
	if json.Unmarshal(text, &c) != nil || c.Offset < 0 {
		return 0
	}
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	head := make([]byte, min(c.Offset, legacyHead))
	if _, err := f.ReadAt(head, 0); err != nil || crc32.Checksum(head, crc32.MakeTable(crc32.Castagnoli)) != c.Head {
		return 0
	}
	// It must point to where a frame begins.
	found := c.Offset == 0
	_ = eachFrame(f, 0, func(_ []byte, end int64) error {
		found = found || end == c.Offset
		return nil
	})
	if !found {
		return 0
	}
	return c.Offset
}

// legacyCursorOf is the cursor beside a file.
func legacyCursorOf(path string) string { return strings.TrimSuffix(path, legacyFrames) + legacyCursor }

// errTorn says that a file does not end with a whole frame.
var errTorn = errors.New("ends inside a frame")

// eachFrame calls show for each frame from an offset on, with where it ends.
func eachFrame(f *os.File, from int64, show func(frame []byte, end int64) error) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	src := bufio.NewReaderSize(io.NewSectionReader(f, from, st.Size()-from), 256<<10)
	var frame []byte
	for at := from; ; {
		header, err := src.Peek(protocol.HeaderSize)
		if err == io.EOF && len(header) == 0 {
			return nil
		} else if err == io.EOF {
			return errTorn
		} else if err != nil {
			return err
		}
		n := int64(protocol.FrameLength(header))
		if n == 0 || n > maxFrameBytes {
			return &protocol.LengthError{Length: uint32(n), Max: maxFrameBytes}
		}
		if n += protocol.HeaderSize; n > st.Size()-at {
			return errTorn
		}
		if int64(cap(frame)) < n {
			frame = make([]byte, n)
		}
		if _, err := io.ReadFull(src, frame[:n]); err != nil {
			return err
		}
		at += n
		if err := show(frame[:n], at); err != nil {
			return err
		}
	}
}

// Each calls show for each frame, header included, that has no outcome yet. It
// is borrowed until show returns.
func (f LegacyFile) Each(dir string, show func(frame []byte) error) error {
	if f.Damaged {
		return nil
	}
	src, err := os.Open(filepath.Join(dir, f.Name))
	if err != nil {
		return err
	}
	defer src.Close()
	return eachFrame(src, f.start, func(frame []byte, _ int64) error { return show(frame) })
}

// findLegacy counts what an earlier release has left.
func (s *Store) findLegacy() []LegacyFile {
	files, err := Legacy(s.cfg.Dir)
	if err != nil {
		return nil // the folder cannot be read; its logs tell why
	}
	var l legacy
	for _, f := range files {
		l.bytes += f.Bytes
		switch {
		case f.Damaged:
			l.damaged++
		case f.Refused:
			l.refused += f.Packets
		default:
			l.waiting += f.Packets
			if f.Packets > 0 && l.oldest.IsZero() {
				l.oldest = f.Since
			}
		}
	}
	s.mu.Lock()
	s.legacy = l
	s.mu.Unlock()
	return files
}

// takeOver copies the files of an earlier release into the logs. What there is
// no space for is tried again.
func (s *Store) takeOver() {
	warned := false
	for {
		left, taken := 0, 0
		for _, f := range s.findLegacy() {
			if f.Damaged {
				continue
			}
			n, err := s.takeOverFile(f)
			if err != nil {
				left++
				if !warned {
					s.log.Warn("dead letters of an earlier release are not taken over; it is tried again", "file", filepath.Join(s.cfg.Dir, f.Name), "error", err)
				}
				warned = true
			}
			taken += n
			s.findLegacy()
			s.fitLimit()
			select {
			case <-s.stopping:
				return
			default:
			}
		}
		if taken > 0 {
			s.log.Info("dead letters of an earlier release were taken over", "packets", taken)
		}
		if left == 0 {
			return
		}
		select {
		case <-time.After(s.rhythm.takeOver):
		case <-s.stopping:
			return
		}
	}
}

// errNoSpace says that the copy of a file would not fit.
var errNoSpace = errors.New("there is no space for a copy")

// takeOverFile copies a file, and deletes it once the copy is durable.
func (s *Store) takeOverFile(f LegacyFile) (packets int, err error) {
	if free, err := s.fs.Free(s.cfg.Dir); err == nil && free < 2*f.Bytes {
		return 0, errNoSpace
	}
	to, k := s.letters, waiting
	if f.Refused {
		to, k = s.refused, refused
	}
	if !to.Status().Writable && !f.Refused {
		return 0, errors.New("the folder cannot be written")
	}
	var length *protocol.LengthError
	damage := f.Each(s.cfg.Dir, func([]byte) error { return nil })
	if damage != nil && !errors.Is(damage, errTorn) && !errors.As(damage, &length) {
		return 0, damage // it may be read later, and nothing must be copied twice
	}
	var under sync.WaitGroup
	var failed atomic.Bool
	heard := func(err error) {
		if err != nil {
			failed.Store(true)
		}
		under.Done()
	}
	var block []byte
	bytes := 0
	err = f.Each(s.cfg.Dir, func(frame []byte) error {
		block = appendLetter(block[:0], k, "", frame)
		to.Overdraw(len(block))
		under.Add(1)
		to.Append(block, heard)
		packets++
		if bytes += len(block); bytes > windowBytes {
			bytes = 0
			under.Wait()
		}
		if failed.Load() {
			return seglog.ErrClosed
		}
		return nil
	})
	under.Wait()
	if failed.Load() {
		return 0, seglog.ErrClosed
	}
	if err != nil && damage == nil {
		return 0, err
	}
	path := filepath.Join(s.cfg.Dir, f.Name)
	switch {
	case damage == nil || errors.Is(damage, errTorn) && s.isNewest(f):
		err = s.fs.Remove(path)
	default:
		s.log.Warn("a dead-letter file of an earlier release is damaged and is set aside; what came before the damage is kept", "file", path, "error", damage)
		err = s.setAside(f)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err = errors.Join(err, s.fs.SyncDir(s.cfg.Dir)); err != nil {
		return packets, err
	}
	if err := s.fs.Remove(legacyCursorOf(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return packets, err
	}
	return packets, nil
}

// isNewest says whether a crash could have cut a file: it was the last one.
func (s *Store) isNewest(f LegacyFile) bool {
	files, err := Legacy(s.cfg.Dir)
	if err != nil {
		return false
	}
	for _, o := range files {
		if !o.Damaged && o.Refused == f.Refused && o.Name > f.Name {
			return false
		}
	}
	return true
}

// setAside renames a file to a name that nobody has.
func (s *Store) setAside(f LegacyFile) error {
	base := filepath.Join(s.cfg.Dir, strings.TrimSuffix(f.Name, legacyFrames)+legacyBad)
	name := base
	for n := 1; ; n++ {
		if taken, err := s.fs.Exists(name); err != nil {
			return err
		} else if !taken {
			return s.fs.Rename(filepath.Join(s.cfg.Dir, f.Name), name)
		}
		name = fmt.Sprintf("%s.%d", base, n)
	}
}
