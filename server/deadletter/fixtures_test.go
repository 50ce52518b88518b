package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/await"
	"sluice/internal/seglog"
	"sluice/protocol"
)

// quick is a rhythm at which nothing is waited for.
func quick() (rhythm, seglog.Rhythm) {
	return rhythm{
			offerRetryMin: time.Millisecond, offerRetryMax: 5 * time.Millisecond,
			letterRetryMin: time.Millisecond, letterRetryMax: 5 * time.Millisecond,
			poll: time.Millisecond, takeOver: 5 * time.Millisecond,
		}, seglog.Rhythm{
			RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond, Sweep: 5 * time.Millisecond,
		}
}

// packet is a valid frame, padded to about extra bytes more.
func packet(n, extra int) []byte {
	return protocol.AppendFrame(nil, protocol.AppendPacket(nil, &protocol.LogPacket{
		PacketID: fmt.Sprintf("p-%d", n), AgentID: "a", Messages: []protocol.LogMessage{{Level: "INFO", Source: "s", Message: strings.Repeat("x", extra)}},
	}))
}

func idOf(t testing.TB, frame []byte) string {
	t.Helper()
	var s protocol.Scanned
	if err := protocol.NewInspector(maxFrameBytes).Scan(frame[protocol.HeaderSize:], &s); err != nil {
		t.Fatalf("a frame that is no packet got through: %v", err)
	}
	return string(s.PacketID)
}

func openStore(t testing.TB, cfg Config, files seglog.FS) *Store {
	t.Helper()
	r, disk := quick()
	s, err := open(cfg, files, r, disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(expired()) })
	return s
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// keep reserves and puts.
func keep(t testing.TB, s *Store, frame []byte, final bool) {
	t.Helper()
	// A slow disk is no fault: until it has written, no more is promised.
	await.True(t, "a place", func() bool { return s.TryReserve(len(frame)) })
	s.Put(frame, final)
}

func written(t testing.TB, s *Store) {
	t.Helper()
	await.True(t, "written", func() bool { return s.Status().ReservedBytes == 0 })
}

// held reads what the files of a folder hold, by kind.
func held(t testing.TB, dir string) map[Kind][]string {
	t.Helper()
	files, err := Survey(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[Kind][]string{}
	for _, f := range files {
		if f.Kind == Damaged {
			ids[Damaged] = append(ids[Damaged], f.Name)
		}
		err := f.Each(dir, func(frame, _ []byte) error {
			ids[f.Kind] = append(ids[f.Kind], idOf(t, frame))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// fakeTarget takes offered frames and answers as it is told to.
type fakeTarget struct {
	t testing.TB

	mu       sync.Mutex
	well     bool
	answer   func(id string) (r Result, now bool, err error) // nil: delivered at once
	held     []func(Result)
	offers   int
	maxHeld  int
	got      []string // delivered, in order
	deliverd map[string]int
}

func newTarget(t testing.TB) *fakeTarget {
	return &fakeTarget{t: t, well: true, deliverd: map[string]int{}}
}

func (f *fakeTarget) Well() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.well }

func (f *fakeTarget) Offer(frame []byte, done func(Result)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := idOf(f.t, frame)
	f.offers++
	r, now, err := Result{Delivered: true}, true, error(nil)
	if f.answer != nil {
		r, now, err = f.answer(id)
	}
	if err != nil {
		return err
	}
	hear := func(r Result) {
		if r.Delivered {
			f.got = append(f.got, id)
			f.deliverd[id]++
		}
		done(r)
	}
	if now {
		hear(r)
		return nil
	}
	f.held = append(f.held, hear)
	f.maxHeld = max(f.maxHeld, len(f.held))
	return nil
}

// release answers all that is held, in random order.
func (f *fakeTarget) release(r Result) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := f.held
	f.held = nil
	rand.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
	for _, done := range held {
		done(r)
	}
	return len(held)
}

func (f *fakeTarget) delivered() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.deliverd) }

// replaying runs Replay until the returned function is called.
func replaying(s *Store, t Target) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Replay(ctx, t) }()
	return func() { cancel(); <-ended }
}

func emptied(t testing.TB, s *Store) {
	t.Helper()
	await.True(t, "empty", func() bool { return s.Status().Packets == 0 })
}

var errInjected = errors.New("injected")

// badFS fails as it is told to.
type badFS struct {
	seglog.OS
	mu     sync.Mutex
	full   bool // nothing more can be allocated
	writes error
	only   string // of files with that in their names; "": of all
}

func (d *badFS) set(change func(d *badFS)) { d.mu.Lock(); defer d.mu.Unlock(); change(d) }

func (d *badFS) heal() { d.set(func(d *badFS) { d.full, d.writes, d.only = false, nil, "" }) }

func (d *badFS) Create(path string) (seglog.File, error) {
	f, err := d.OS.Create(path)
	if err != nil {
		return nil, err
	}
	return &badFile{f, d, path}, nil
}

type badFile struct {
	seglog.File
	d    *badFS
	path string
}

func (f *badFile) Allocate(size int64) error {
	f.d.mu.Lock()
	full := f.d.full
	f.d.mu.Unlock()
	if full {
		return unix.ENOSPC
	}
	return f.File.Allocate(size)
}

func (f *badFile) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	err, only := f.d.writes, f.d.only
	f.d.mu.Unlock()
	if err != nil && strings.Contains(f.path, only) {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}
