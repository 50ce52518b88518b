package seglog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/internal/await"
)

func TestAppendReadSettle(t *testing.T) {
	await.LeavesNothing(t)
	dir := t.TempDir()
	l := openLog(t, dir, nil, nil)
	const n = 5000 // of about 100 bytes: several segments
	var kept atomic.Int64
	pad := strings.Repeat("x", 90)
	for i := range n {
		text := name(i) + " " + pad
		await.True(t, "space", func() bool { return l.TryReserve(len(text)) })
		l.Append([]byte(text), func(err error) {
			if err == nil {
				kept.Add(1)
			}
		})
	}
	await.True(t, "all durable", func() bool { return kept.Load() == n })
	texts, ids := all(l)
	if len(texts) != n {
		t.Fatalf("%d blocks", len(texts))
	}
	for i, text := range texts {
		if !strings.HasPrefix(text, name(i)+" ") {
			t.Fatalf("block %d is %.20s: not in order", i, text)
		}
	}
	if st := l.Status(); st.Blocks != n || st.ReservedBytes != 0 || len(l.segments) < 5 {
		t.Fatalf("%+v in %d segments", st, len(l.segments))
	}
	r := l.NewReader()
	if b, err := r.Get(ids[n-1]); err != nil || string(b.Data) != texts[n-1] {
		t.Fatalf("%s %v", b.Data, err)
	}
	if err := r.Mark(ids[7], 3); err != nil {
		t.Fatal(err)
	}
	if err := r.Settle(ids[:7]); err != nil {
		t.Fatal(err)
	}
	if err := r.Settle(ids[8 : n-5]); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	l = openLog(t, dir, nil, nil)
	texts, ids = all(l)
	if st := l.Status(); len(texts) != 6 || st.Blocks != 6 || !strings.HasPrefix(texts[0], "block-7 ") {
		t.Fatalf("%d blocks, %+v", len(texts), st)
	}
	r = l.NewReader()
	if b, ok := r.Next(); !ok || b.Mark != 3 {
		t.Errorf("%+v %v", b, ok)
	}
	if err := r.Settle(ids); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	if left, _ := filepath.Glob(filepath.Join(dir, "log-*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// Get must not disturb where Next goes on.
func TestGetBetweenNext(t *testing.T) {
	l := openLog(t, t.TempDir(), nil, nil)
	for i := range 10 {
		put(t, l, name(i))
		durable(t, l) // a batch each
	}
	r := l.NewReader()
	first, _ := r.Next()
	for i := 1; i < 10; i++ {
		if b, err := r.Get(first.ID); err != nil || string(b.Data) != name(0) {
			t.Fatalf("%s %v", b.Data, err)
		}
		if b, ok := r.Next(); !ok || string(b.Data) != name(i) {
			t.Fatalf("block %d is %s", i, b.Data)
		}
	}
	if _, ok := r.Next(); ok {
		t.Error("one too many")
	}
	put(t, l, "later")
	durable(t, l)
	if b, ok := r.Next(); !ok || string(b.Data) != "later" {
		t.Errorf("%s %v", b.Data, ok)
	}
}

func TestLimitBoundsWhatIsAllocated(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, nil, func(c *Config) { c.MaxBytes = 1 << 20 })
	const size = 1000
	n, refused := 0, 0
	for refused < 3 {
		if l.TryReserve(size) {
			n++
			continue
		}
		full := false
		await.True(t, "more space, or full", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			full = l.limit-l.allocated < minSegmentBytes
			return full || l.fits(charge(size))
		})
		if full {
			refused++
		}
	}
	if st := l.Status(); st.AllocatedBytes > 1<<20 || !st.Full || n < 700 {
		t.Fatalf("%d blocks: %+v", n, st)
	}
	for i := range n {
		l.Append(fmt.Appendf(nil, "%0*d", size, i), nil)
	}
	durable(t, l)
	if texts, _ := all(l); len(texts) != n || l.Status().AllocatedBytes > 1<<20 {
		t.Errorf("%d of %d, %+v", len(texts), n, l.Status())
	}
	closeLog(t, l)
	total := int64(0)
	files, _ := os.ReadDir(dir)
	for _, e := range files {
		st, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += st.Size()
	}
	if total > 1<<20 {
		t.Errorf("%d bytes", total)
	}
}

// Somebody else takes every byte of the disk: what was reserved is written,
// and nothing more is promised.
func TestFullDiskKeepsWhatWasReserved(t *testing.T) {
	files := goodFS()
	dir := t.TempDir()
	l := openLog(t, dir, files, nil)
	n := 0
	for n < 2000 { // more than a segment
		if l.TryReserve(200) {
			n++
		}
	}
	files.set(func(d *badFS) { d.space = 0 })
	more := 0
	for range 20_000 {
		if l.TryReserve(200) {
			more++
		}
	}
	if !l.Status().Full {
		t.Fatalf("not full: %+v", l.Status())
	}
	for i := range n + more {
		l.Append(fmt.Appendf(nil, "%0200d", i), nil)
	}
	durable(t, l)
	closeLog(t, l)
	files.heal()
	l = openLog(t, dir, files, nil)
	if texts, _ := all(l); len(texts) != n+more || !slices.IsSorted(texts) {
		t.Errorf("%d of %d", len(texts), n+more)
	}
}

func TestFaults(t *testing.T) {
	for what, fault := range map[string]func(*badFS){
		"EIO of a write":         func(d *badFS) { d.writes = errInjected },
		"a short write":          func(d *badFS) { d.short = 11 },
		"fsync":                  func(d *badFS) { d.syncs = errInjected },
		"write and no new files": func(d *badFS) { d.writes, d.creates = errInjected, errInjected },
		"ENOSPC, nothing more":   func(d *badFS) { d.syncs, d.space = errInjected, 0 },
	} {
		t.Run(what, func(t *testing.T) {
			files, dir := goodFS(), t.TempDir()
			l := openLog(t, dir, files, nil)
			put(t, l, name(0))
			durable(t, l)
			for i := 1; i < 4; i++ {
				await.True(t, "space", func() bool { return l.TryReserve(len(name(i))) })
			}
			files.set(fault)
			var told atomic.Int64
			for i := 1; i < 4; i++ {
				l.Append([]byte(name(i)), func(err error) {
					if err == nil {
						told.Add(1)
					}
				})
			}
			await.True(t, "not writable", func() bool { return !l.Status().Writable })
			if l.TryReserve(1) || told.Load() != 0 {
				t.Fatal("promised, or told durable, while nothing can be written")
			}
			files.heal()
			await.True(t, "told", func() bool { return told.Load() == 3 })
			closeLog(t, l)
			l = openLog(t, dir, files, nil)
			if texts, _ := all(l); fmt.Sprint(texts) != "[block-0 block-1 block-2 block-3]" {
				t.Errorf("%v", texts)
			}
		})
	}
}

// A disk that stands still stops neither appending nor reserving, until too
// much waits; all of it becomes durable afterwards.
func TestStall(t *testing.T) {
	files := goodFS()
	l := openLog(t, t.TempDir(), files, func(c *Config) { c.SegmentBytes = 4 << 20 })
	stall := make(chan struct{})
	files.set(func(d *badFS) { d.stall = stall })
	block := strings.Repeat("x", 10_000)
	n := 0
	for ; n < 100_000 && l.TryReserve(len(block)); n++ {
		l.Append([]byte(block), nil)
	}
	if n < 50 || n > 2000 {
		t.Errorf("%d blocks while the disk stands still", n)
	}
	files.heal()
	close(stall)
	durable(t, l)
	if texts, _ := all(l); len(texts) != n {
		t.Errorf("%d of %d", len(texts), n)
	}
}

func TestGroupSync(t *testing.T) {
	files := goodFS()
	l := openLog(t, t.TempDir(), files, func(c *Config) { c.SegmentBytes = 1 << 20 })
	await.True(t, "space", func() bool { return l.TryReserve(100) })
	stall := make(chan struct{})
	files.set(func(d *badFS) { d.stall = stall })
	l.Append(make([]byte, 100), nil)
	for range 1000 {
		await.True(t, "space", func() bool { return l.TryReserve(100) })
		l.Append(make([]byte, 100), nil)
	}
	files.set(func(d *badFS) { d.stall, d.synced = nil, 0 })
	close(stall)
	durable(t, l)
	files.mu.Lock()
	defer files.mu.Unlock()
	if files.synced > 10 {
		t.Errorf("%d syncs for 1,000 blocks that came together", files.synced)
	}
}

func TestCloseTellsWhatIsLost(t *testing.T) {
	await.LeavesNothing(t)
	files := goodFS()
	l := openLog(t, t.TempDir(), files, nil)
	await.True(t, "space", func() bool { return l.TryReserve(5) })
	files.set(func(d *badFS) { d.writes = errInjected })
	heard := make(chan error, 1)
	l.Append([]byte("hello"), func(err error) { heard <- err })
	err := l.Close(expired())
	if !errors.Is(err, errInjected) || !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "1 blocks") {
		t.Errorf("%v", err)
	}
	if err := await.Value(t, "an answer", heard); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
	l.Append([]byte("late"), func(err error) { heard <- err })
	if err := await.Value(t, "an answer", heard); !errors.Is(err, ErrClosed) || l.TryReserve(1) {
		t.Errorf("%v", err)
	}
}

func TestFolderAndSegmentDeletedByHand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := openLog(t, dir, nil, func(c *Config) { c.Prepare = func() error { return MakeFolder(OS{}, dir) } })
	put(t, l, "lost")
	durable(t, l)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	await.True(t, "off the books", func() bool { return l.Status().Blocks == 0 })
	put(t, l, "kept")
	durable(t, l)
	if texts, _ := all(l); fmt.Sprint(texts) != "[kept]" {
		t.Errorf("%v", texts)
	}
}

func TestUnreadableIsReadLater(t *testing.T) {
	files, dir := goodFS(), t.TempDir()
	l := openLog(t, dir, files, nil)
	put(t, l, "one")
	closeLog(t, l)
	files.set(func(d *badFS) { d.reads = errInjected })
	l = openLog(t, dir, files, nil)
	if texts, _ := all(l); len(texts) != 0 {
		t.Fatalf("%v", texts)
	}
	files.heal()
	await.True(t, "readable", func() bool { texts, _ := all(l); return fmt.Sprint(texts) == "[one]" })
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	lock, err := LockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	var locked *LockedError
	if _, err := LockFolder(dir); !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Fatalf("%v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if lock, err = LockFolder(dir); err != nil {
		t.Fatal(err)
	}
	lock.Close()
}

// The largest block is promised at once, however large it is beside a segment.
func TestTheLargestBlockIsPromisedAtOnce(t *testing.T) {
	for _, largest := range []int{1000, 1 << 20, 16 << 20} {
		l := openLog(t, t.TempDir(), nil, func(c *Config) { c.Largest, c.MaxBytes = largest, 5*int64(largest)+1<<20 })
		if !l.TryReserve(largest) {
			t.Errorf("%d bytes: there is no space", largest)
		}
	}
}
