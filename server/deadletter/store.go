package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/seglog"
	"sluice/protocol"
)

// Config says where dead letters are kept and how many. Only Dir is required.
type Config struct {
	Dir      string
	MaxBytes int64        // allocated for all files. 0: no limit but the disk's
	MaxFrame int          // largest body, in bytes, that can be delivered. 0: protocol.DefaultMaxFrame
	Log      *slog.Logger // nil: silent
}

// Status is what lies in the folder at one moment. Immutable.
type Status struct {
	Packets        int       // that wait for delivery, those not yet written included
	Bytes          int64     // of all files that hold something, refused and damaged ones included
	MaxBytes       int64     // as configured
	ReservedBytes  int64     // promised to packets that are on their way, or not yet written
	RefusedPackets int       // that are never delivered; they stay
	DamagedFiles   int       // set aside
	OldestAt       time.Time // when the file of the oldest waiting packet was begun; zero: none waits
	Writable       bool
	Full           bool   // the last reservation was refused for want of space, and still would be
	Error          string // why it is not writable
	Replayed       uint64 // packets delivered from files since Open
}

// LockedError says that another process writes the folder. Immutable.
type LockedError = seglog.LockedError

// Store keeps dead letters. Put and TryReserve only touch memory. Safe for
// concurrent use.
type Store struct {
	cfg    Config
	fs     seglog.FS
	rhythm rhythm
	log    *slog.Logger

	letters  *seglog.Log
	refused  *seglog.Log
	replayed atomic.Uint64

	stopping chan struct{} // closed by Close: no more deliveries
	stop     sync.Once
	closeErr error
	aside    sync.WaitGroup // the takeover of an earlier release's files

	replaying sync.Mutex // held by Replay
	delivery  *delivery  // with replaying

	mu     sync.Mutex
	lock   io.Closer
	locked os.FileInfo // of the lock file
	legacy legacy
}

// Open opens a folder, and creates it if there is none. A folder that another
// process has open is a *[LockedError]. Any other trouble with it is no error:
// the Store then is not writable and reserves nothing, Status tells why, and it
// tries again by itself. The caller must call Close.
func Open(cfg Config) (*Store, error) {
	return open(cfg, seglog.OS{}, defaultRhythm(), seglog.DefaultRhythm())
}

func open(cfg Config, files seglog.FS, r rhythm, disk seglog.Rhythm) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("deadletter: Dir is empty")
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = math.MaxInt64 / 2
	}
	if cfg.MaxFrame <= 0 {
		cfg.MaxFrame = protocol.DefaultMaxFrame
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg, fs: files, rhythm: r, log: cfg.Log, stopping: make(chan struct{})}
	permanent := func(err error) bool { var locked *LockedError; return errors.As(err, &locked) }
	lc := seglog.Config{Dir: cfg.Dir, Prefix: PrefixLetters, FS: files, Rhythm: disk, Log: cfg.Log, Prepare: s.prepare,
		SegmentBytes: lettersSegment, Largest: protocol.HeaderSize + cfg.MaxFrame, MaxBytes: cfg.MaxBytes, Ahead: true}
	var err error
	if s.letters, err = seglog.Open(lc, permanent); err != nil {
		return nil, err
	}
	lc.Prefix, lc.SegmentBytes, lc.Largest, lc.Ahead = PrefixRefused, refusedSegment, 0, false
	if s.refused, err = seglog.Open(lc, permanent); err != nil {
		return nil, errors.Join(err, s.letters.Close(context.Background()))
	}
	s.delivery = newDelivery(s)
	s.findLegacy()
	s.fitLimit()
	if st := s.Status(); st.Packets+st.RefusedPackets > 0 {
		s.log.Info("dead letters of an earlier run", "folder", cfg.Dir, "packets", st.Packets, "refused", st.RefusedPackets)
	}
	s.aside.Go(s.takeOver)
	return s, nil
}

// prepare makes the folder and locks it, unless the lock is ours and the file
// is still the one that has its name.
func (s *Store) prepare() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := seglog.MakeFolder(s.fs, s.cfg.Dir); err != nil {
		return err
	}
	path := filepath.Join(s.cfg.Dir, seglog.LockName)
	if now, err := os.Stat(path); s.lock != nil && err == nil && os.SameFile(now, s.locked) {
		return nil
	}
	if s.lock != nil {
		_ = s.lock.Close() // of a folder that has vanished
		s.lock = nil
	}
	lock, err := seglog.LockFolder(s.cfg.Dir)
	if err != nil {
		return err
	}
	if s.locked, err = os.Stat(path); err != nil {
		return errors.Join(err, lock.Close())
	}
	s.lock = lock
	return nil
}

// fitLimit leaves to the letters what the other files have not taken.
func (s *Store) fitLimit() {
	r := s.refused.Status()
	s.mu.Lock()
	legacy := s.legacy.bytes
	s.mu.Unlock()
	s.letters.SetLimit(max(0, s.cfg.MaxBytes-r.AllocatedBytes-r.DamagedBytes-s.letters.Status().DamagedBytes-legacy))
}

// TryReserve reserves space for one frame of size bytes, header included. It is
// given back with Release, or used up with Put. False: there is no space, or
// the folder cannot be written, or not as fast as dead letters come.
func (s *Store) TryReserve(size int) bool { return s.letters.TryReserve(blockSize(size)) }

// Release gives the space of a frame of size bytes back: it was delivered.
func (s *Store) Release(size int) { s.letters.Release(blockSize(size)) }

// Put keeps a frame, header included, whose space is reserved. It is copied,
// written and fsynced in the background; until then it stays in memory. final:
// an analyzer has refused it permanently, so that it is not delivered again but
// kept aside. It does not wait for the disk.
func (s *Store) Put(frame []byte, final bool) {
	size := len(frame)
	if !isFrame(frame) {
		s.log.Error("what should be kept as a dead letter is not a frame", "bytes", size)
		s.Release(size)
		return
	}
	if !final {
		s.letters.Append(appendLetter(nil, waiting, "", frame), s.heard)
		return
	}
	block := appendLetter(nil, refused, "", frame)
	s.refuse(block, func(err error) {
		if err == nil {
			s.Release(size)
			return
		}
		s.letters.Append(block, s.heard) // its space is reserved there, and it is moved later
	})
}

// heard logs a letter that came too late to be written.
func (s *Store) heard(err error) {
	if err != nil {
		s.log.Error("a dead letter came after the folder was closed, or could not be written, and is lost", "error", err)
	}
}

// refuse appends a block to the log of refused letters, which takes the space
// that it needs.
func (s *Store) refuse(block []byte, done func(error)) {
	s.refused.Overdraw(len(block))
	s.refused.Append(block, func(err error) {
		if err == nil {
			s.fitLimit()
		}
		done(err)
	})
}

// Status returns the state of the moment. It does not touch the disk.
func (s *Store) Status() Status {
	l, r := s.letters.Status(), s.refused.Status()
	s.mu.Lock()
	old := s.legacy
	s.mu.Unlock()
	st := Status{
		Packets: l.Blocks + old.waiting, RefusedPackets: r.Blocks + old.refused, DamagedFiles: l.Damaged + r.Damaged + old.damaged,
		Bytes: l.Bytes + l.DamagedBytes + r.Bytes + r.DamagedBytes + old.bytes, MaxBytes: s.cfg.MaxBytes, ReservedBytes: l.ReservedBytes,
		OldestAt: l.OldestAt, Writable: l.Writable, Full: l.Full, Error: l.Error, Replayed: s.replayed.Load(),
	}
	if old.waiting > 0 && (st.OldestAt.IsZero() || old.oldest.Before(st.OldestAt)) {
		st.OldestAt = old.oldest
	}
	return st
}

// Close ends deliveries, writes and fsyncs what is pending, and gives the
// folder free. It tries until ctx ends, and once more; then the error says how
// many packets are lost, and why. Calling it again waits for the same end.
func (s *Store) Close(ctx context.Context) error {
	s.stop.Do(func() {
		close(s.stopping)
		s.replaying.Lock() // Replay has returned
		defer s.replaying.Unlock()
		s.delivery.drain(nil)
		// What cannot be written as refused is written as a letter.
		if err := s.refused.Close(ctx); err != nil {
			s.log.Warn("refused letters could not be moved; they are moved after the next start", "error", err)
		}
		s.delivery.drain(nil)
		if err := s.letters.Close(ctx); err != nil {
			s.closeErr = fmt.Errorf("dead letters: %w", err)
			s.log.Error("dead letters are lost: the folder could not be written", "folder", s.cfg.Dir, "error", err)
		}
		s.aside.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.lock != nil {
			_ = s.lock.Close() // nothing was written
		}
	})
	return s.closeErr
}
