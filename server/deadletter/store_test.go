package deadletter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice/internal/await"
	"sluice/internal/seglog"
)

func TestFillRotateAndDeliver(t *testing.T) {
	await.LeavesNothing(t)
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openStore(t, Config{Dir: dir, MaxBytes: 128 << 20}, seglog.OS{})
	const n, size = 300, 100_000 // about 30 MB: four files
	for i := range n {
		f := packet(i, size)
		keep(t, s, f, false)
		clear(f) // borrowed
	}
	written(t, s)
	if st := s.Status(); st.Packets != n || st.Bytes < n*size || st.OldestAt.IsZero() || len(held(t, dir)[Waiting]) != n {
		t.Fatalf("%+v", st)
	}
	to := newTarget(t)
	end := replaying(s, to)
	emptied(t, s)
	end()
	for i, id := range to.got {
		if id != fmt.Sprintf("p-%d", i) {
			t.Fatalf("packet %d is %s: not in order", i, id)
		}
	}
	if len(to.got) != n || s.Status().Replayed != n || s.Status().ReservedBytes != 0 {
		t.Errorf("%d delivered, %+v", len(to.got), s.Status())
	}
	closeStore(t, s)
	if left, _ := filepath.Glob(filepath.Join(dir, "*.seg*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// The files never take more than MaxBytes, and what was promised fits in them.
func TestLimit(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir, MaxBytes: 1 << 20}, seglog.OS{})
	f := packet(0, 1000)
	n := 0
	await.True(t, "full", func() bool {
		for s.TryReserve(len(f)) {
			n++
		}
		return n > 500 && s.Status().Full
	})
	for range n {
		s.Put(f, false)
	}
	written(t, s)
	total := int64(0)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		st, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += st.Size()
	}
	if st := s.Status(); st.Packets != n || total > 1<<20+64 {
		t.Fatalf("%d bytes, %d packets, %+v", total, n, st)
	}
	end := replaying(s, newTarget(t))
	emptied(t, s)
	end()
	await.True(t, "space again", func() bool { return s.TryReserve(len(f)) })
	s.Release(len(f))
	closeStore(t, s)
	if s.TryReserve(1) {
		t.Error("a closed store reserves")
	}
}

func TestReservationsOfManyGoroutines(t *testing.T) {
	f := packet(0, 10)
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir, MaxBytes: 4 << 20}, seglog.OS{})
	var wg sync.WaitGroup
	var put sync.Map
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				if s.TryReserve(len(f)) {
					if (i+g)%50 == 0 {
						put.Store([2]int{g, i}, true)
						s.Put(f, i%3 == 0)
					} else {
						s.Release(len(f))
					}
				}
			}
		})
	}
	wg.Wait()
	written(t, s)
	n := 0
	put.Range(func(any, any) bool { n++; return true })
	if st := s.Status(); st.Packets+st.RefusedPackets != n || n == 0 {
		t.Errorf("%d put, %+v", n, st)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir}, seglog.OS{})
	_, err := Open(Config{Dir: dir})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("%v", err)
	}
	closeStore(t, s)
	closeStore(t, openStore(t, Config{Dir: dir}, seglog.OS{}))
}

func TestUnwritableFolderIsTriedAgain(t *testing.T) {
	await.LeavesNothing(t)
	blocker := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, Config{Dir: filepath.Join(blocker, "letters")}, seglog.OS{})
	if st := s.Status(); st.Writable || st.Error == "" || s.TryReserve(1) {
		t.Fatalf("%+v", st)
	}
	if err := os.Remove(blocker); err != nil {
		t.Fatal(err)
	}
	await.True(t, "writable", func() bool { return s.Status().Writable })
	keep(t, s, packet(1, 1), false)
	written(t, s)
	if st := s.Status(); st.Error != "" || st.Packets != 1 {
		t.Errorf("%+v", st)
	}
	closeStore(t, s)
}

// Others take the whole disk after 202s were given; then the server is
// stopped. Everything is there at the next start, refused ones as well.
func TestFullDiskLosesNothing(t *testing.T) {
	dir, files := t.TempDir(), &badFS{}
	s := openStore(t, Config{Dir: dir}, files)
	const n = 1000
	sizes := make([][]byte, n)
	for i := range n {
		sizes[i] = packet(i, 100)
		await.True(t, "space", func() bool { return s.TryReserve(len(sizes[i])) })
	}
	files.set(func(d *badFS) { d.full = true })
	for i, f := range sizes {
		s.Put(f, i%10 == 9)
	}
	if err := s.Close(expired()); err != nil { // the disk does not get better
		t.Fatal(err)
	}
	files.heal()
	s = openStore(t, Config{Dir: dir}, files)
	if st := s.Status(); st.Packets+st.RefusedPackets != n {
		t.Fatalf("%+v", st)
	}
	to := newTarget(t)
	end := replaying(s, to)
	emptied(t, s)
	end()
	if st := s.Status(); st.RefusedPackets != n/10 || to.delivered() != n-n/10 {
		t.Errorf("%d delivered, %+v", to.delivered(), st)
	}
}

// A refused letter whose log cannot be written keeps its promise as a letter.
func TestRefusedThatCannotBeWritten(t *testing.T) {
	dir, files := t.TempDir(), &badFS{}
	s := openStore(t, Config{Dir: dir}, files)
	f := packet(0, 1)
	await.True(t, "space", func() bool { return s.TryReserve(len(f)) })
	files.set(func(d *badFS) { d.writes, d.only = errInjected, PrefixRefused })
	s.Put(f, true)
	if err := s.Close(expired()); err != nil {
		t.Fatal(err)
	}
	files.heal()
	s = openStore(t, Config{Dir: dir}, files)
	if st := s.Status(); st.Packets != 1 || st.RefusedPackets != 0 {
		t.Fatalf("%+v", st)
	}
	end := replaying(s, newTarget(t))
	await.True(t, "moved", func() bool { return s.Status().RefusedPackets == 1 && s.Status().Packets == 0 })
	end()
	if s.Status().Replayed != 0 {
		t.Error("it was delivered")
	}
}

func TestCloseTriesUntilItsEnd(t *testing.T) {
	await.LeavesNothing(t)
	dir, files := t.TempDir(), &badFS{}
	s := openStore(t, Config{Dir: dir}, files)
	f := packet(0, 1)
	await.True(t, "space", func() bool { return s.TryReserve(len(f)) })
	files.set(func(d *badFS) { d.writes = errInjected })
	s.Put(f, false)
	await.True(t, "unwritable", func() bool { return !s.Status().Writable })
	closed := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	go func() { closed <- s.Close(ctx) }()
	files.heal()
	if err := await.Value(t, "the end", closed); err != nil {
		t.Fatal(err)
	}
	if got := held(t, dir)[Waiting]; !slices.Equal(got, []string{"p-0"}) {
		t.Errorf("%v", got)
	}
	// And tells what is lost if the disk stays as it is.
	s = openStore(t, Config{Dir: dir}, files)
	await.True(t, "space", func() bool { return s.TryReserve(len(f)) })
	files.set(func(d *badFS) { d.writes = errInjected })
	s.Put(f, false)
	if err := s.Close(expired()); !errors.Is(err, errInjected) {
		t.Errorf("%v", err)
	}
}

// What the last release has left, written by it: delivered up to a cursor, one
// refused, two files.
func TestTakesOverTheLastRelease(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/release1")); err != nil {
		t.Fatal(err)
	}
	if got := held(t, dir); fmt.Sprint(got[Waiting]) != "[p-2 p-3 p-4 p-6 p-7]" || fmt.Sprint(got[Refused]) != "[p-5]" {
		t.Fatalf("%v", got)
	}
	s := openStore(t, Config{Dir: dir}, seglog.OS{})
	await.True(t, "taken over", func() bool {
		old, _ := filepath.Glob(filepath.Join(dir, "*.frames"))
		return len(old) == 0
	})
	await.True(t, "counted once", func() bool { st := s.Status(); return st.Packets == 5 && st.RefusedPackets == 1 })
	closeStore(t, s)
	if left, _ := filepath.Glob(filepath.Join(dir, "*.cursor")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	s = openStore(t, Config{Dir: dir}, seglog.OS{})
	to := newTarget(t)
	end := replaying(s, to)
	emptied(t, s)
	end()
	if fmt.Sprint(to.got) != "[p-2 p-3 p-4 p-6 p-7]" || fmt.Sprint(held(t, dir)[Refused]) != "[p-5]" {
		t.Errorf("%v %v", to.got, held(t, dir))
	}
}

// Files of the last release that a crash or a disk has damaged.
func TestTakesOverDamage(t *testing.T) {
	good := append(packet(0, 1), packet(1, 1)...)
	for name, tc := range map[string]struct {
		data  []byte
		want  string
		aside bool
	}{
		"torn, the newest":     {good[:len(good)-1], "[p-0]", false},
		"zeros at its end":     {append(slices.Clone(good), make([]byte, 4096)...), "[p-0 p-1]", true},
		"garbage":              {[]byte("this is no file of frames at all"), "[]", true},
		"nothing":              {nil, "[]", false},
		"cursor of another":    {good, "[p-0 p-1]", false},
		"an impossible length": {append(slices.Clone(good), 0xff, 0xff, 0xff, 0xff), "[p-0 p-1]", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "letters-0000000000000005")
			if err := os.WriteFile(path+legacyFrames, tc.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if name == "cursor of another" {
				if err := os.WriteFile(path+legacyCursor, []byte(`{"offset":90,"head":1}`), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := openStore(t, Config{Dir: dir}, seglog.OS{})
			await.True(t, "taken over", func() bool {
				old, _ := filepath.Glob(filepath.Join(dir, "*.frames"))
				return len(old) == 0
			})
			await.True(t, "told", func() bool { return (s.Status().DamagedFiles == 1) == tc.aside })
			closeStore(t, s)
			if got := held(t, dir); fmt.Sprint(got[Waiting]) != tc.want {
				t.Errorf("%v", got)
			}
		})
	}
}
