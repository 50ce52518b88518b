package deadletter

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice/protocol"
)

// Config says where dead letters are kept and how many. Only Dir is required.
type Config struct {
	Dir      string
	MaxBytes int64        // of all files and reservations. 0: no limit but the disk's
	MaxFrame int          // largest body, in bytes, that can be delivered. 0: protocol.DefaultMaxFrame
	Log      *slog.Logger // nil: silent

	tornBytes int // largest body that is believed to be cut off by a crash. 0: MaxFrame
}

// Status is what lies in the folder at one moment. Immutable.
type Status struct {
	Packets        int       // that wait for delivery, those not yet written included
	Bytes          int64     // of all files, refused and damaged ones included
	MaxBytes       int64     // as configured
	ReservedBytes  int64     // promised to packets that are on their way, or not yet written
	RefusedPackets int       // that an analyzer refused for ever; they stay
	DamagedFiles   int       // set aside
	OldestAt       time.Time // when the file of the oldest waiting packet was begun; zero: none waits
	Writable       bool
	Full           bool   // the last reservation was refused for want of room, and still would be
	Error          string // why it is not writable
	Replayed       uint64 // packets delivered from files since Open
}

// Store keeps dead letters. Put and TryReserve only touch memory; one
// goroutine of its own does all that has to do with the disk but for what
// Replay does: reading files and removing them. Safe for concurrent use.
type Store struct {
	cfg    Config
	disk   disk
	rhythm rhythm
	log    *slog.Logger

	place
	writable atomic.Bool
	replayed atomic.Uint64
	unsafe   atomic.Int64 // bytes that were put and are not yet fsynced

	wake     chan struct{} // the writer has something to do; one slot
	changed  chan struct{} // Replay has something new to look at; one slot
	stopping chan struct{} // closed by Close: no more deliveries
	stop     sync.Once
	finish   chan context.Context // from Close to the writer, once
	ended    chan struct{}        // the writer has ended
	closeErr error                // set before ended is closed, and by Close

	replaying sync.Mutex // held by Replay
	delivery  *delivery  // of the file being delivered, also after Replay. With replaying

	lock *os.File // of the writer
	out  writer   // of the writer

	mu        sync.Mutex
	pending   [2]backlog // by slot of kind
	letters   []*file    // by sequence; the last may still be appended to
	others    []*file    // refused and damaged
	fileBytes int64
	sequence  int64     // highest in use
	wantSeal  bool      // Replay would like to have what is being appended to
	failure   error     // why it is not writable
	pendingAt time.Time // when the oldest of pending was put
	closed    bool
}

// Open opens a folder, and creates it if there is none. A folder that another
// process has open is a *[LockedError]. Any other trouble with it is no error:
// the Store then is not writable and reserves nothing, Status tells why, and it
// tries again by itself. The caller must call Close.
func Open(cfg Config) (*Store, error) { return open(cfg, realDisk{}, defaultRhythm()) }

func open(cfg Config, d disk, r rhythm) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("deadletter: Dir is empty")
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = math.MaxInt64 / 2
	}
	if cfg.MaxFrame <= 0 {
		cfg.MaxFrame = protocol.DefaultMaxFrame
	}
	if cfg.tornBytes <= 0 {
		cfg.tornBytes = cfg.MaxFrame
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		cfg: cfg, disk: d, rhythm: r, log: cfg.Log,
		wake: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		stopping: make(chan struct{}), finish: make(chan context.Context, 1), ended: make(chan struct{}),
	}
	s.place.limit.Store(cfg.MaxBytes)
	s.out.open(s)
	err := s.prepare()
	var locked *LockedError
	if errors.As(err, &locked) {
		return nil, err
	}
	s.report(err)
	go s.write()
	return s, nil
}

// prepare makes the folder ours and finds out what is in it. Called by the
// writer, again when the folder has vanished.
func (s *Store) prepare() error {
	s.abandonFolder()
	if err := makeFolder(s.disk, s.cfg.Dir); err != nil {
		return err
	}
	lock, err := lockFolder(s.cfg.Dir)
	if err != nil {
		return err
	}
	v := s.surveyor()
	files, highest, err := v.survey()
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	s.mu.Lock()
	s.lock = lock
	s.sequence = max(s.sequence, highest)
	packets := 0
	for _, f := range files {
		s.add(f)
		if f.kind == Waiting {
			packets += f.left
		}
	}
	s.mu.Unlock()
	if len(files) > 0 {
		s.log.Info("dead letters of an earlier run", "folder", s.cfg.Dir, "files", len(files), "packets", packets)
	}
	s.measure()
	nudge(s.changed)
	return nil
}

func (s *Store) surveyor() *surveyor {
	return &surveyor{disk: s.disk, dir: s.cfg.Dir, fix: true, max: s.cfg.tornBytes + protocol.HeaderSize, warn: s.warn}
}

func (s *Store) warn(text, file string, attrs ...any) {
	s.log.Warn(text, append([]any{"file", filepath.Join(s.cfg.Dir, file)}, attrs...)...)
}

// abandonFolder forgets the files of a folder that has vanished.
func (s *Store) abandonFolder() {
	s.out.abandon()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range slices.Concat(s.letters, s.others) {
		s.forget(f)
	}
	s.letters, s.others = nil, nil
	if s.lock != nil {
		_ = s.lock.Close() // nothing was written
		s.lock = nil
	}
}

// add begins to account for a file. With s.mu.
func (s *Store) add(f *file) {
	if f.kind == Waiting {
		s.letters = append(s.letters, f)
	} else {
		s.others = append(s.others, f)
	}
	s.fileBytes += f.size
	s.used.Add(f.size)
}

// forget ends the accounting for a file; it is still in its list. With s.mu.
func (s *Store) forget(f *file) {
	if !f.gone {
		f.gone = true
		s.fileBytes -= f.size
		s.used.Add(-f.size)
	}
}

// Put keeps a frame, header included, whose place is reserved. It is copied,
// and written and fsynced by the store's goroutine; until then it stays in
// memory. final: an analyzer has refused it for ever, so that it is not
// delivered again but kept aside. It does not wait for the disk.
func (s *Store) Put(frame []byte, final bool) { s.put(frame, final, nil) }

// put is Put; kept, if not nil, is called by the writer once the frame is safe.
func (s *Store) put(frame []byte, final bool, kept func()) {
	if len(frame) <= protocol.HeaderSize || int(protocol.FrameLength(frame)) != len(frame)-protocol.HeaderSize {
		s.log.Error("what should be kept as a dead letter is no frame", "bytes", len(frame))
		s.Release(len(frame))
		return
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		if s.pendingAt.IsZero() {
			s.pendingAt = time.Now()
		}
		s.pending[slot(final)].add(frame, kept)
		s.unsafe.Add(int64(len(frame)))
	}
	s.mu.Unlock()
	if closed {
		s.Release(len(frame))
		s.log.Error("a dead letter came after the folder was closed, and is lost", "bytes", len(frame))
		return
	}
	nudge(s.wake)
}

// Status returns the state of the moment. It does not touch the disk.
func (s *Store) Status() Status {
	st := Status{MaxBytes: s.cfg.MaxBytes, ReservedBytes: s.reserved.Load(), Full: s.full(),
		Writable: s.writable.Load(), Replayed: s.replayed.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Bytes = s.fileBytes
	st.Packets = s.pending[slot(false)].packets
	st.RefusedPackets = s.pending[slot(true)].packets
	if st.Packets > 0 {
		st.OldestAt = s.pendingAt
	}
	for i := len(s.letters) - 1; i >= 0; i-- {
		if f := s.letters[i]; f.left > 0 {
			st.Packets += f.left
			st.OldestAt = createdAt(f.sequence)
		}
	}
	for _, f := range s.others {
		if f.kind == Damaged {
			st.DamagedFiles++
		} else {
			st.RefusedPackets += f.left
		}
	}
	if s.failure != nil {
		st.Error = s.failure.Error()
	}
	return st
}

// nudge wakes whoever waits for a channel with one slot.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
