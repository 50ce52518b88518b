package seglog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/await"
)

// quick is a rhythm at which nothing is waited for.
func quick() Rhythm {
	return Rhythm{RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond, Sweep: 5 * time.Millisecond}
}

func openLog(t testing.TB, dir string, files FS, change func(*Config)) *Log {
	t.Helper()
	cfg := Config{Dir: dir, Prefix: "log", FS: files, Rhythm: quick(), SegmentBytes: minSegmentBytes, Ahead: true}
	if change != nil {
		change(&cfg)
	}
	l, err := Open(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(expired()) })
	return l
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// put reserves, appends and counts what becomes durable.
func put(t testing.TB, l *Log, text string) {
	t.Helper()
	await.True(t, "space", func() bool { return l.TryReserve(len(text)) })
	l.Append([]byte(text), nil)
}

func durable(t testing.TB, l *Log) {
	t.Helper()
	await.True(t, "durable", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.waiting == 0 })
}

// all reads what is there, without settling it.
func all(l *Log) (texts []string, ids []ID) {
	r := l.NewReader()
	for {
		b, ok := r.Next()
		if !ok {
			return texts, ids
		}
		texts, ids = append(texts, string(b.Data)), append(ids, b.ID)
	}
}

func name(i int) string { return fmt.Sprintf("block-%d", i) }

var errInjected = errors.New("injected")

// badFS fails as it is told to.
type badFS struct {
	OS
	mu      sync.Mutex
	space   int64 // that may still be allocated; -1: endless
	short   int   // a write stops after so many bytes; -1: it does not
	writes  error
	syncs   error
	creates error
	reads   error
	stall   chan struct{} // a sync waits for it
	synced  int
}

func goodFS() *badFS { return &badFS{space: -1, short: -1} }

func (d *badFS) set(change func(d *badFS)) { d.mu.Lock(); defer d.mu.Unlock(); change(d) }

func (d *badFS) heal() {
	d.set(func(d *badFS) {
		d.space, d.short, d.writes, d.syncs, d.creates, d.reads, d.stall = -1, -1, nil, nil, nil, nil, nil
	})
}

func (d *badFS) Create(path string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.creates != nil {
		return nil, d.creates
	}
	f, err := d.OS.Create(path)
	if err != nil {
		return nil, err
	}
	return &badFile{f, d}, nil
}

func (d *badFS) Open(path string) (File, error) {
	f, err := d.OS.Open(path)
	if err != nil {
		return nil, err
	}
	return &badFile{f, d}, nil
}

type badFile struct {
	File
	d *badFS
}

func (f *badFile) Allocate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.space >= 0 {
		if size > f.d.space {
			return unix.ENOSPC
		}
		f.d.space -= size
	}
	return f.File.Allocate(size)
}

// WriteAt fails for want of space where nothing was allocated.
func (f *badFile) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	writes, short, space := f.d.writes, f.d.short, f.d.space
	f.d.mu.Unlock()
	if writes != nil {
		return 0, writes
	}
	if size, err := f.Size(); space >= 0 && (err != nil || off+int64(len(p)) > size) {
		return 0, unix.ENOSPC
	}
	if short >= 0 && short < len(p) {
		return f.File.WriteAt(p[:short], off)
	}
	return f.File.WriteAt(p, off)
}

func (f *badFile) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	err := f.d.reads
	f.d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *badFile) Sync() error {
	f.d.mu.Lock()
	err, stall := f.d.syncs, f.d.stall
	f.d.synced++
	f.d.mu.Unlock()
	if stall != nil {
		<-stall
	}
	if err != nil {
		return err
	}
	return f.File.Sync()
}
