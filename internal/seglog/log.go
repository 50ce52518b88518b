package seglog

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Config says where a log is kept and how large it may become. Dir and Prefix
// are required.
type Config struct {
	Dir    string
	Prefix string // of the segments' names
	FS     FS     // nil: the operating system's
	Rhythm Rhythm // zero: DefaultRhythm
	Log    *slog.Logger

	// Prepare makes the folder ready and locks it. It is called first of all,
	// and again after the folder has vanished. nil: the folder is ready.
	Prepare func() error

	SegmentBytes int64 // where a segment ends. 0: 8 MiB
	Largest      int   // bytes of the largest block; a segment is large enough that it is promised at once
	MaxBytes     int64 // allocated in all. 0: no limit but the disk's
	// Ahead: segments are allocated before anything is reserved. Without it
	// only [Log.Overdraw] reserves, and space is allocated when it is needed.
	Ahead bool
}

// Status is the state of a log at one moment. Immutable.
type Status struct {
	Blocks         int       // not settled, those that are not yet durable included
	Bytes          int64     // of the files that hold them; what is only allocated is not included
	AllocatedBytes int64     // of all files
	ReservedBytes  int64     // promised and not yet written, overhead included
	Damaged        int       // files that were set aside
	DamagedBytes   int64     // of them
	OldestAt       time.Time // when the file of the oldest block was begun; zero: there is none
	Writable       bool
	Full           bool   // the last reservation was refused for want of space, and still would be
	Error          string // why it is not writable
}

// ErrClosed says that a log was closed before a block was durable.
var ErrClosed = errors.New("seglog: closed")

// Log is a durable log of blocks. One goroutine of its own writes; Append and
// TryReserve only touch memory. Safe for concurrent use.
type Log struct {
	cfg  Config
	fs   FS
	log  *slog.Logger
	w    writer
	read handles

	wake    chan struct{} // the writer has something to do; one slot
	changed chan struct{} // there is something new to read; one slot
	finish  chan context.Context
	ended   chan struct{}
	stop    sync.Once
	err     error // of Close; set before ended is closed

	mu        sync.Mutex
	pending   []*chunk
	waiting   int   // blocks that were appended and are not durable
	unsafe    int64 // bytes of them
	pendingAt time.Time

	segments []*segment // by sequence; the last ones may be open
	prepared []*segment // open: the first is appended to, the others wait
	aside    map[string]int64
	sequence int64 // highest in use

	limit     int64
	allocated int64 // of all files
	free      int64 // of prepared segments
	reserved  int64 // charges
	largest   int64 // charge that is reserved
	wanted    int64 // charge of the last reservation that was refused for want of space

	ready   bool
	failure error
	closed  bool
}

// Open opens the log of a folder, which the caller has locked unless Prepare
// does it. Trouble with the folder is no error: the log is not writable then,
// Status tells why, and it tries again by itself. An error of Prepare is
// returned if permanent says so of it. The caller must call Close.
func Open(cfg Config, permanent func(error) bool) (*Log, error) {
	if cfg.Dir == "" || cfg.Prefix == "" {
		return nil, errors.New("seglog: Dir or Prefix is empty")
	}
	if cfg.FS == nil {
		cfg.FS = OS{}
	}
	if cfg.Rhythm == (Rhythm{}) {
		cfg.Rhythm = DefaultRhythm()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = math.MaxInt64 / 2
	}
	if cfg.SegmentBytes <= 0 {
		cfg.SegmentBytes = defaultSegmentBytes
	}
	// A small log has small segments, so that some of it is free at any time.
	cfg.SegmentBytes = max(minSegmentBytes, min(cfg.SegmentBytes, cfg.MaxBytes/8))
	if cfg.Largest > 0 {
		cfg.SegmentBytes = max(cfg.SegmentBytes, minSegmentBytes+2*charge(cfg.Largest))
	}
	l := &Log{
		cfg: cfg, fs: cfg.FS, log: cfg.Log, limit: cfg.MaxBytes, aside: map[string]int64{},
		wake: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		finish: make(chan context.Context, 1), ended: make(chan struct{}),
	}
	l.w.log, l.read.log = l, l
	err := l.prepare()
	if err != nil && permanent != nil && permanent(err) {
		return nil, err
	}
	if err == nil {
		_ = l.w.provide() // without, nothing is promised; it is tried again
	}
	l.report(err)
	go l.write()
	return l, nil
}

// prepare finds out what is in the folder. Called by the writer, again when
// the folder has vanished.
func (l *Log) prepare() error {
	if l.cfg.Prepare != nil {
		if err := l.cfg.Prepare(); err != nil {
			return err
		}
	}
	found, aside, err := l.survey(true)
	if err != nil {
		return err
	}
	l.mu.Lock()
	for _, s := range found {
		l.sequence = max(l.sequence, s.sequence)
		l.add(s)
	}
	l.aside = aside
	for name := range aside {
		sequence, _, _ := ParseName(l.cfg.Prefix, name)
		l.sequence = max(l.sequence, sequence)
	}
	l.ready = true
	l.mu.Unlock()
	for _, s := range found {
		l.retire(s)
	}
	nudge(l.changed)
	return nil
}

// survey returns the segments of the folder by sequence. With fix it also cuts
// off what a crash has left.
func (l *Log) survey(fix bool) (found []*segment, aside map[string]int64, err error) {
	names, err := l.fs.ReadDir(l.cfg.Dir)
	if err != nil {
		return nil, nil, err
	}
	aside = map[string]int64{}
	for _, e := range names {
		sequence, isAside, ours := ParseName(l.cfg.Prefix, e.Name())
		if !ours || !e.Type().IsRegular() {
			continue
		}
		if isAside {
			if st, err := e.Info(); err == nil {
				aside[e.Name()] = st.Size()
			}
			continue
		}
		s := &segment{name: e.Name(), sequence: sequence}
		if err := l.inspect(s, fix); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil { // it is looked at again when it is its turn
			l.warn("a segment cannot be read; others go first", s, "error", err)
			s.unread, s.warned = true, true
		}
		found = append(found, s)
	}
	slices.SortFunc(found, func(a, b *segment) int { return int(max(-1, min(1, a.sequence-b.sequence))) })
	return found, aside, nil
}

// inspect finds out what is in a segment.
func (l *Log) inspect(s *segment, fix bool) error {
	f, err := l.fs.Open(l.path(s.name))
	if err != nil {
		return err
	}
	defer f.Close()
	if s.size, err = f.Size(); err != nil {
		return err
	}
	c, err := walk(f, s.size, s.sequence)
	if errors.Is(err, errNoSegment) {
		if s.size == 0 || s.size > 0 && isEmpty(f, s.size) { // a crash came before its header
			return nil
		}
		s.damaged = true
		l.warn("a segment has no header and cannot be read", s)
		return nil
	}
	if err != nil {
		return err
	}
	s.end, s.left, s.damaged = c.end, c.left, c.damaged
	if c.damaged {
		l.warn("a segment is damaged; what can be read of it is used, then it is set aside", s)
	}
	if c.torn > 0 {
		l.warn("the end of a segment was not durable before a crash, and is cut off", s, "offset", c.end, "bytes", c.torn)
	}
	if fix && !c.damaged && s.size > c.end {
		if err := f.Truncate(c.end); err == nil && f.Sync() == nil {
			s.size = c.end
		}
	}
	return nil
}

func isEmpty(f File, size int64) bool {
	w := &window{src: f, size: size}
	n, err := w.used(0)
	return err == nil && n == 0
}

// add begins to account for a segment. With l.mu.
func (l *Log) add(s *segment) {
	l.segments = append(l.segments, s)
	l.allocated += s.size
	if s.open {
		l.prepared = append(l.prepared, s)
		l.free += s.free()
	}
}

// forget ends the accounting for a segment. With l.mu.
func (l *Log) forget(s *segment) {
	if s.gone {
		return
	}
	s.gone = true
	l.closeSegment(s)
	l.allocated -= s.size
	l.segments = slices.DeleteFunc(l.segments, func(o *segment) bool { return o == s })
}

// closeSegment ends appending to a segment. With l.mu.
func (l *Log) closeSegment(s *segment) {
	if s.open {
		l.free -= s.free()
		s.open = false
		l.prepared = slices.DeleteFunc(l.prepared, func(o *segment) bool { return o == s })
	}
}

// retire deletes a segment of which nothing is left, or sets it aside if some
// of it could not be read. What fails is tried again.
func (l *Log) retire(s *segment) {
	l.mu.Lock()
	due := !s.gone && !s.open && !s.unread && s.left <= 0 && time.Now().After(s.notBefore)
	damaged := s.damaged
	l.mu.Unlock()
	if !due {
		return
	}
	l.read.drop(s)
	var err error
	if damaged {
		err = l.setAside(s)
	} else if err = l.fs.Remove(l.path(s.name)); err == nil || errors.Is(err, fs.ErrNotExist) {
		err = l.fs.SyncDir(l.cfg.Dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.putOff(s, "a segment cannot be removed", err)
		return
	}
	l.mu.Lock()
	l.forget(s)
	l.mu.Unlock()
	nudge(l.wake) // there is space
}

// setAside renames a damaged segment to a name that nobody has.
func (l *Log) setAside(s *segment) error {
	base := strings.TrimSuffix(s.name, suffixLive) + suffixBad
	name := base
	for n := 1; ; n++ {
		if taken, err := l.fs.Exists(l.path(name)); err != nil {
			return err
		} else if !taken {
			break
		}
		name = base + "." + strconv.Itoa(n)
	}
	if err := l.fs.Rename(l.path(s.name), l.path(name)); err != nil {
		return err
	}
	l.mu.Lock()
	l.aside[name] = s.size
	l.mu.Unlock()
	l.log.Warn("a damaged segment was set aside", "file", l.path(name))
	return l.fs.SyncDir(l.cfg.Dir)
}

// putOff lets a segment wait that cannot be read or removed now.
func (l *Log) putOff(s *segment, what string, err error) {
	l.mu.Lock()
	s.notBefore = time.Now().Add(l.cfg.Rhythm.RetryMax)
	warned := s.warned
	s.warned = true
	l.mu.Unlock()
	if !warned {
		l.warn(what+"; others go first", s, "error", err)
	}
}

func (l *Log) warn(text string, s *segment, attrs ...any) {
	l.log.Warn(text, append([]any{"file", l.path(s.name)}, attrs...)...)
}

// vanished accounts for a segment that somebody has deleted.
func (l *Log) vanished(s *segment) {
	l.read.drop(s)
	l.mu.Lock()
	gone, left := s.gone, s.left
	l.forget(s)
	l.mu.Unlock()
	if !gone && left > 0 {
		l.warn("a segment was deleted by somebody", s, "blocks", left)
	}
}

// SetLimit changes MaxBytes. What is allocated beyond it stays.
func (l *Log) SetLimit(bytes int64) {
	l.mu.Lock()
	grown := bytes > l.limit
	l.limit = bytes
	l.mu.Unlock()
	if grown {
		nudge(l.wake)
	}
}

// Changed has a value when there may be something new to read. It is for one
// reader.
func (l *Log) Changed() <-chan struct{} { return l.changed }

// Status returns the state of the moment. It does not touch the disk.
func (l *Log) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Status{
		Blocks: l.waiting, AllocatedBytes: l.allocated, ReservedBytes: l.reserved, Damaged: len(l.aside),
		Writable: l.ready && l.failure == nil && !l.closed, Full: l.wanted > 0 && !l.fits(l.wanted),
	}
	if l.waiting > 0 {
		st.OldestAt = l.pendingAt
	}
	for i := len(l.segments) - 1; i >= 0; i-- {
		s := l.segments[i]
		if s.left > 0 {
			st.Blocks += s.left
			st.OldestAt = CreatedAt(s.sequence)
		}
		if s.left > 0 || s.unread || !s.open {
			st.Bytes += s.end
		}
	}
	for _, size := range l.aside {
		st.DamagedBytes += size
	}
	if l.failure != nil {
		st.Error = l.failure.Error()
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
