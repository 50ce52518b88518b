// Package tail finds files, follows them through rotation, and ships what is in
// them, each byte's fate known.
//
// One goroutine does all of it, a turn for each file in turn: so no file keeps
// the others from being read, and the order of discovery, rotation and reading
// needs no lock. It never waits for the distributor. If no buffer is free it
// goes on looking for rotations, because a file must be open before it is
// deleted, and reads again when a buffer comes back.
//
// Reading is by position. A turn reads up to a packet's worth at the file's
// position, lets the splitter say where the packet ends, and moves the position
// there: what was read beyond is read again, from the page cache, which is
// cheaper than keeping it. Behind each read the file's beginning is compared
// with its fingerprint, so that bytes of a file that was truncated and written
// anew between two looks are never taken for bytes of the old one.
//
// Files are watched by asking, not by inotify: 20 times a second while a file
// grows, once a second when it is quiet, all quiet ones together. A hundred quiet
// files cost one wake-up and a few hundred system calls a second, and asking
// works on every file system.
package tail

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sluice/agent/checkpoint"
	"sluice/agent/lines"
	"sluice/agent/ship"
	"sluice/internal/ratelog"
)

// Config of a Tailer.
type Config struct {
	Patterns []string // globs
	Exclude  []string // globs of base names or of whole paths
	FromEnd  bool     // files of the very first scan begin at their end
	Once     bool     // ship what is there, and end

	Batch     int           // bytes of a packet, at most the buffers'
	ReadAhead int64         // bytes of a file that may be without an answer
	Linger    time.Duration // how long a packet that is not full may wait
	Hold      time.Duration // how long the last record of multi-line ones waits
	Splitter  *lines.Splitter
	Limit     *Limiter    // nil: no limit
	Pairs     []ship.Pair // metadata of all records

	Store   *checkpoint.Store
	Shipper *ship.Shipper
	Log     *slog.Logger
}

// Times of the watch.
const (
	scanEvery    = time.Second
	hotPoll      = 50 * time.Millisecond
	quietPoll    = time.Second
	closeAfter   = time.Minute      // a file that no pattern matches, without growth
	copyPatience = 30 * time.Second // a file that looks like a copy of one that lives
	retryRefused = 30 * time.Second
	turnPackets  = 8 // of one file before the next has its turn
)

// Losses are what was or may have been missed, in bytes and files.
type Losses struct {
	TruncatedUnread int64 `json:"truncated_unread_bytes"` // seen in a file before it was truncated, and not read
	Recovered       int64 `json:"recovered_bytes"`        // read from copies of such files beyond what was read of them
	GoneUnread      int64 `json:"gone_unread_bytes"`      // of files that vanished while no agent ran
}

// Tailer follows files. Run is one goroutine's; the rest is safe for
// concurrent use.
type Tailer struct {
	cfg      Config
	sums     checksum
	rescan   chan struct{}
	first    bool // no scan was made yet
	nextScan time.Time
	complain map[string]string // by path, so that each problem is told once
	retired  map[string]*ledger

	mu    sync.Mutex // guards the next two; only Run changes them
	files []*File
	lives map[inode]*File

	lost struct{ truncated, recovered, gone atomic.Int64 }
	bad  atomic.Int64 // files that could not be read, or whose packets are refused
}

// New returns a Tailer; Run does the work.
func New(cfg Config) *Tailer {
	return &Tailer{
		cfg: cfg, sums: newChecksum(), rescan: make(chan struct{}, 1), first: true,
		complain: map[string]string{}, retired: map[string]*ledger{}, lives: map[inode]*File{},
	}
}

// Rescan makes the next turn look for files at once.
func (t *Tailer) Rescan() {
	select {
	case t.rescan <- struct{}{}:
	default:
	}
}

// Run follows files until ctx ends, or with Once until everything that was there
// is delivered or refused.
func (t *Tailer) Run(ctx context.Context) {
	wake := time.NewTimer(0)
	defer wake.Stop()
	defer t.closeAll()
	for ctx.Err() == nil {
		now := time.Now()
		if !now.Before(t.nextScan) {
			t.scan(now)
			t.nextScan = now.Add(scanEvery)
		}
		did, next := t.pass(now)
		if t.cfg.Once && t.finished() {
			return
		}
		if did {
			continue
		}
		if t.nextScan.Before(next) {
			next = t.nextScan
		}
		wake.Reset(max(time.Until(next), time.Millisecond))
		select {
		case <-ctx.Done():
		case <-wake.C:
		case <-t.cfg.Shipper.Changed():
		case <-t.rescan:
			t.nextScan = time.Time{}
		}
	}
}

// pass gives each file a turn. next is when one of them wants to be asked again.
func (t *Tailer) pass(now time.Time) (did bool, next time.Time) {
	next = now.Add(quietPoll)
	for i := 0; i < len(t.files); i++ {
		f := t.files[i]
		for range turnPackets {
			if !f.turn(now) {
				break
			}
			did = true
		}
		f.show()
		if f.over {
			t.remove(f)
			i--
			continue
		}
		if f.next.Before(next) {
			next = f.next
		}
	}
	return did, next
}

// finished says whether --once has nothing left to do.
func (t *Tailer) finished() bool {
	for _, f := range t.files {
		if !f.finished() {
			return false
		}
	}
	for id, l := range t.retired {
		if l.progress().open > 0 {
			return false
		}
		delete(t.retired, id)
	}
	return true
}

func (t *Tailer) insert(f *File) {
	f.show()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.files = append(t.files, f)
	t.lives[f.inode] = f
}

func (t *Tailer) remove(f *File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.files {
		if t.files[i] == f {
			t.files = append(t.files[:i], t.files[i+1:]...)
			break
		}
	}
	if t.lives[f.inode] == f {
		delete(t.lives, f.inode)
	}
	t.retired[f.id] = &f.ledger
	for id, l := range t.retired {
		if l.progress().open == 0 {
			delete(t.retired, id)
		}
	}
}

func (t *Tailer) closeAll() {
	for _, f := range t.files {
		f.remember()
		f.file.Close()
	}
}

// problem tells a fault with a file, once until it is another.
func (t *Tailer) problem(path, what string, err error) {
	text := what
	if err != nil {
		text += ": " + ratelog.Kind(err.Error())
	}
	if t.complain[path] == text {
		return
	}
	if t.complain[path] == "" {
		t.bad.Add(1)
	}
	t.complain[path] = text
	t.cfg.Log.Warn("file: "+what, "path", path, "error", err)
}

func (t *Tailer) solved(path string) {
	if t.complain[path] != "" {
		delete(t.complain, path)
		t.bad.Add(-1)
	}
}

// Problems returns how many files cannot be read or shipped at the moment.
func (t *Tailer) Problems() int64 { return t.bad.Load() }

// Losses returns what was or may have been missed so far.
func (t *Tailer) Losses() Losses {
	return Losses{t.lost.truncated.Load(), t.lost.recovered.Load(), t.lost.gone.Load()}
}
