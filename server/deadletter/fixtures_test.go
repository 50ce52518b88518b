package deadletter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/await"
	"sluice/protocol"
)

// quick is a rhythm at which nothing is waited for.
func quick() rhythm {
	return rhythm{
		writeRetryMin: time.Millisecond, writeRetryMax: 5 * time.Millisecond,
		offerRetryMin: time.Millisecond, offerRetryMax: 5 * time.Millisecond,
		sweep: 10 * time.Millisecond, cursor: time.Millisecond, poll: time.Millisecond,
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

func openStore(t testing.TB, cfg Config, d disk) *Store {
	t.Helper()
	s, err := open(cfg, d, quick())
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

// onDisk adds up the bytes of all files of frames.
func onDisk(t testing.TB, dir string) (bytes int64, names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, _, ours := parseName(e.Name()); ours {
			st, err := os.Stat(filepath.Join(dir, e.Name()))
			if err == nil {
				bytes += st.Size()
				names = append(names, e.Name())
			}
		}
	}
	return bytes, names
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

func emptied(t testing.TB, s *Store, dir string) {
	t.Helper()
	await.True(t, "empty", func() bool {
		_, names := onDisk(t, dir)
		st := s.Status()
		return len(names) == 0 && st.Packets == 0 && st.Bytes == 0
	})
}

// logged collects log lines.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

var errInjected = errors.New("injected")

// badDisk fails as it is told to. room is how many bytes may still be written.
type badDisk struct {
	realDisk
	mu                                       sync.Mutex
	room                                     int64 // -1: endless
	syncs, truncates, creates, reads, others error
	created, removed                         int
}

func goodDisk() *badDisk { return &badDisk{room: -1} }

func (d *badDisk) set(change func(d *badDisk)) { d.mu.Lock(); defer d.mu.Unlock(); change(d) }

func (d *badDisk) create(path string) (handle, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.creates != nil {
		return nil, d.creates
	}
	d.created++
	h, err := d.realDisk.create(path)
	return &badHandle{h, d}, err
}

func (d *badDisk) open(path string) (source, error) {
	src, err := d.realDisk.open(path)
	if err != nil {
		return nil, err
	}
	return &badSource{src, d}, nil
}

func (d *badDisk) remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.others != nil {
		return d.others
	}
	d.removed++
	return d.realDisk.remove(path)
}

type badHandle struct {
	handle
	d *badDisk
}

func (h *badHandle) Write(p []byte) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.d.room < 0 || int64(len(p)) <= h.d.room {
		if h.d.room > 0 {
			h.d.room -= int64(len(p))
		}
		return h.handle.Write(p)
	}
	n, _ := h.handle.Write(p[:h.d.room]) // in the middle of a frame
	h.d.room = 0
	return n, errInjected
}

func (h *badHandle) Sync() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.d.syncs != nil {
		return h.d.syncs
	}
	return h.handle.Sync()
}

func (h *badHandle) Truncate(n int64) error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.d.truncates != nil {
		return h.d.truncates
	}
	return h.handle.Truncate(n)
}

type badSource struct {
	source
	d *badDisk
}

func (s *badSource) ReadAt(p []byte, off int64) (int, error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if s.d.reads != nil {
		return 0, s.d.reads
	}
	return s.source.ReadAt(p, off)
}
