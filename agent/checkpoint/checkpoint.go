// Package checkpoint remembers, over crashes, how far each file was delivered
// and where the packets that may have been sent begin and end.
//
// Two files in the state folder do that together. "checkpoint.json" is a whole
// picture, replaced atomically and synced at most once a second. "journal.N"
// holds what happened since, one line for each event, written when it happens
// and not synced: a new file, the end of a packet that is about to be sent, an
// acknowledged offset. So a killed process loses nothing: it finds the same
// offsets, and the same packets with the same ids for what had no answer. A
// machine that loses power goes back to the last picture and may send up to a
// second of packets again, some of them with other ends.
//
// The obvious way, a picture only, would make a killed agent send a second of
// acknowledged packets again; writing the picture for each packet would cost
// more than shipping it. The other obvious way, packets that end at fixed
// multiples of the offset, needs no record of ends, but then a quiet file would
// have to wait for its block to fill, or the ends of lingered packets would
// need a record anyway.
package checkpoint

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A File is what is remembered of one file: one life of an inode, from its
// creation (or truncation) to its end.
type File struct {
	ID   string `json:"id"` // part of packet ids; see tail.Identity
	Path string `json:"path"`
	Real string `json:"real,omitempty"` // what Path, a symbolic link, led to
	Name string `json:"name"`           // the path under which it was found first

	Dev      uint64 `json:"dev"`
	Ino      uint64 `json:"ino"`
	Birth    int64  `json:"birth,omitempty"` // creation time, Unix ns; 0: the file system tells none
	Print    uint64 `json:"print"`           // checksum of the first PrintLen bytes
	PrintLen int    `json:"print_len"`

	Start int64   `json:"start"` // where reading began
	Acked int64   `json:"acked"` // every byte from Start to here was delivered
	Sum   uint64  `json:"sum"`   // checksum of those bytes
	Size  int64   `json:"size"`  // as last seen
	Cuts  []int64 `json:"cuts,omitempty"`

	Ended time.Time `json:"ended,omitzero"` // when it was read to its end, or was gone
	Why   string    `json:"why,omitempty"`
}

// Ack says that a file's bytes up to an offset were delivered.
type Ack struct {
	ID     string
	Offset int64
	Sum    uint64
}

// Limits of what is kept of files that have ended. They are kept so that a copy
// that a rotation made of one, or a link to it, is known.
const (
	keepEnded    = 7 * 24 * time.Hour
	maxEnded     = 10_000
	syncInterval = time.Second
)

// Store is the state folder. Without a folder it remembers within the process
// only. Safe for concurrent use.
type Store struct {
	dir  string
	log  *slog.Logger
	lock *os.File

	mu      sync.Mutex
	agent   string
	files   map[string]*File
	journal *os.File
	number  uint64 // of the journal
	begun   bool   // something was written to it
	buf     []byte
	dirty   bool
	failing bool
	fresh   bool // nothing was remembered when it was opened
	saving  sync.Mutex
}

// Open opens, and creates if need be, the folder and reads what is in it. The
// folder is locked: two agents with one state would each move the other's
// offsets. dir "" keeps nothing.
func Open(dir, agent string, log *slog.Logger) (*Store, error) {
	s := &Store{dir: dir, log: log, agent: agent, files: map[string]*File{}, fresh: true}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.takeLock(); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		s.lock.Close()
		return nil, err
	}
	if err := s.Save(); err != nil {
		s.lock.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) takeLock() error {
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%s is in use by another agent", s.dir)
		}
		return fmt.Errorf("lock %s: %w", s.dir, err)
	}
	s.lock = f
	return nil
}

// Fresh says whether nothing was remembered when the store was opened.
func (s *Store) Fresh() bool { return s.fresh }

// Files returns a copy of all that is remembered, the oldest end first.
func (s *Store) Files() []File { return s.Find(func(*File) bool { return true }) }

// Find returns copies of the files that is says yes to, the oldest end first.
// It is called under the store's lock.
func (s *Store) Find(is func(*File) bool) []File {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []File
	for _, f := range s.files {
		if !is(f) {
			continue
		}
		c := *f
		c.Cuts = slices.Clone(f.Cuts)
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b File) int { return a.Ended.Compare(b.Ended) })
	return out
}

// Get returns a copy of what is remembered of one file.
func (s *Store) Get(id string) (File, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[id]
	if !ok {
		return File{}, false
	}
	return *f, true
}

// Begin remembers a file, new or changed, before anything of it is sent.
func (s *Store) Begin(f File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[f.ID] = &f
	s.record(event{Op: opFile, File: &f})
}

// Cut remembers that a packet ends at an offset, before it is sent. Cuts of one
// file come in ascending order.
func (s *Store) Cut(id string, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cutAt(id, end) {
		s.record(event{Op: opCut, ID: id, Offset: end})
	}
}

// Acked moves offsets, several files' in one write.
func (s *Store) Acked(acks []Ack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range acks {
		a := &acks[i]
		if s.ack(a.ID, a.Offset, a.Sum) {
			s.append(event{Op: opAck, ID: a.ID, Offset: a.Offset, Sum: a.Sum})
		}
	}
	s.flush()
}

// Recut forgets the ends of packets that were refused for good, so that other
// ends may be chosen.
func (s *Store) Recut(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[id]; f != nil {
		f.Cuts = nil
		s.record(event{Op: opRecut, ID: id})
	}
}

// Update changes what may be lost in a crash: path, size, a longer fingerprint.
// It is written with the next picture.
func (s *Store) Update(id string, change func(*File)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[id]; f != nil {
		change(f)
		s.dirty = true
	}
}

// End changes a file, as Update does, and writes it at once: that a life is over
// must survive a crash, or what is next on its inode would be taken for it.
func (s *Store) End(id string, change func(*File)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[id]; f != nil {
		change(f)
		s.record(event{Op: opFile, File: f})
	}
}

// Err tells whether the last write failed.
func (s *Store) Err() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failing
}

func (s *Store) cutAt(id string, end int64) bool {
	f := s.files[id]
	if f == nil || end <= f.Acked || len(f.Cuts) > 0 && end <= f.Cuts[len(f.Cuts)-1] {
		return false
	}
	f.Cuts = append(f.Cuts, end)
	return true
}

func (s *Store) ack(id string, offset int64, sum uint64) bool {
	f := s.files[id]
	if f == nil || offset <= f.Acked {
		return false
	}
	f.Acked, f.Sum = offset, sum
	f.Size = max(f.Size, offset)
	n := 0
	for n < len(f.Cuts) && f.Cuts[n] <= offset {
		n++
	}
	f.Cuts = slices.Delete(f.Cuts, 0, n)
	return true
}

// forget drops what ended long ago. With s.mu.
func (s *Store) forget(now time.Time) {
	var ended []*File
	for id, f := range s.files {
		switch {
		case f.Ended.IsZero():
		case now.Sub(f.Ended) > keepEnded:
			delete(s.files, id)
		default:
			ended = append(ended, f)
		}
	}
	if len(ended) <= maxEnded {
		return
	}
	slices.SortFunc(ended, func(a, b *File) int { return a.Ended.Compare(b.Ended) })
	for _, f := range ended[:len(ended)-maxEnded] {
		delete(s.files, f.ID)
	}
}
