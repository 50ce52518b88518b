package deadletter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sluice/internal/await"
)

func TestFillRotateAndDeliver(t *testing.T) {
	await.LeavesNothing(t)
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openStore(t, Config{Dir: dir, MaxBytes: 64 << 20}, realDisk{})
	const n, size = 300, 100_000 // about 30 MB: four files
	total := 0
	for i := range n {
		f := packet(i, size)
		total += len(f)
		keep(t, s, f, false)
		clear(f) // borrowed
	}
	written(t, s)
	bytes, names := onDisk(t, dir)
	st := s.Status()
	if bytes != int64(total) || st.Bytes != bytes || st.Packets != n || len(names) != 4 || st.OldestAt.IsZero() {
		t.Fatalf("%d bytes in %v, want %d: %+v", bytes, names, total, st)
	}
	for _, name := range names {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Size() > fileBytes || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
	to := newTarget(t)
	end := replaying(s, to)
	emptied(t, s, dir)
	end()
	for i, id := range to.got {
		if id != fmt.Sprintf("p-%d", i) {
			t.Fatalf("packet %d is %s: not in order", i, id)
		}
	}
	if len(to.got) != n || s.Status().Replayed != n || s.used.Load() != 0 {
		t.Errorf("%d delivered, %+v, %d in use", len(to.got), s.Status(), s.used.Load())
	}
	closeStore(t, s)
}

func TestCapIsExact(t *testing.T) {
	dir := t.TempDir()
	f := packet(0, 10)
	s := openStore(t, Config{Dir: dir, MaxBytes: int64(10*len(f) - 1)}, realDisk{})
	for range 9 {
		keep(t, s, f, false)
	}
	if s.TryReserve(len(f)) || !s.Status().Full {
		t.Fatalf("over the cap: %+v", s.Status())
	}
	if !s.TryReserve(len(f)-1) || s.TryReserve(1) {
		t.Fatal("not exact")
	}
	s.Release(len(f) - 1)
	written(t, s)
	if st := s.Status(); st.Bytes != int64(9*len(f)) || s.TryReserve(len(f)) {
		t.Fatalf("%+v", st)
	}
	end := replaying(s, newTarget(t))
	emptied(t, s, dir)
	end()
	if !s.TryReserve(len(f)) || s.Status().Full {
		t.Errorf("no room after delivery: %+v", s.Status())
	}
	closeStore(t, s)
	if s.TryReserve(1) {
		t.Error("a closed store reserves")
	}
	// A folder that is over the cap from the start.
	s = openStore(t, Config{Dir: dir, MaxBytes: 1 << 20}, realDisk{})
	keep(t, s, packet(1, 1000), false)
	closeStore(t, s)
	s = openStore(t, Config{Dir: dir, MaxBytes: 1000}, realDisk{})
	if s.TryReserve(1) || !s.Status().Full || s.Status().Packets != 1 {
		t.Errorf("%+v", s.Status())
	}
}

func TestReservationsOfManyGoroutines(t *testing.T) {
	f := packet(0, 10)
	s := openStore(t, Config{Dir: t.TempDir(), MaxBytes: int64(500 * len(f))}, realDisk{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				if s.TryReserve(len(f)) {
					if s.used.Load() > s.cfg.MaxBytes {
						t.Error("over the cap")
					}
					if (i+g)%50 == 0 {
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
	st := s.Status()
	if s.used.Load() != st.Bytes || int64(st.Packets+st.RefusedPackets)*int64(len(f)) != st.Bytes {
		t.Errorf("%+v, %d in use", st, s.used.Load())
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir}, realDisk{})
	_, err := Open(Config{Dir: dir})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("%v", err)
	}
	closeStore(t, s)
	closeStore(t, openStore(t, Config{Dir: dir}, realDisk{}))
}

func TestUnwritableFolderIsTriedAgain(t *testing.T) {
	await.LeavesNothing(t)
	var log logged
	blocker := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(blocker, "letters")
	s := openStore(t, Config{Dir: dir, Log: log.logger()}, realDisk{})
	if st := s.Status(); st.Writable || st.Error == "" || s.TryReserve(1) {
		t.Fatalf("%+v", st)
	}
	if err := os.Remove(blocker); err != nil {
		t.Fatal(err)
	}
	await.True(t, "writable", func() bool { return s.Status().Writable })
	keep(t, s, packet(1, 1), false)
	written(t, s)
	if st := s.Status(); st.Error != "" || log.count("cannot be written") != 1 || log.count("can be written again") != 1 {
		t.Errorf("%+v\n%s", st, log.buf.String())
	}
	closeStore(t, s)
}

// The disk fills in the middle of a frame, at every offset: nothing is lost,
// nothing is there twice, and the file ends with a whole frame.
func TestDiskFullAtAnyByte(t *testing.T) {
	frames := [][]byte{packet(0, 1), packet(1, 50), packet(2, 3)}
	whole := bytes.Join(frames, nil)
	for room := range int64(len(whole)) {
		dir, d := t.TempDir(), goodDisk()
		s := openStore(t, Config{Dir: dir}, d)
		for i, f := range frames {
			if i == 1 {
				written(t, s) // the first is kept, then the trouble begins
				d.set(func(d *badDisk) { d.room = max(0, room-int64(len(frames[0]))) })
			}
			if !s.TryReserve(len(f)) {
				s.overdraw(int64(len(f))) // reserved a moment ago, as it were
			}
			s.Put(f, false)
		}
		await.True(t, "unwritable", func() bool { return !s.Status().Writable })
		if st := s.Status(); st.Packets != 3 || s.TryReserve(1) {
			t.Fatalf("room %d: %+v", room, st)
		}
		got, _ := onDisk(t, dir)
		if got > int64(len(whole)) {
			t.Fatalf("room %d: %d bytes", room, got)
		}
		d.set(func(d *badDisk) { d.room = -1 })
		written(t, s)
		if got, names := onDisk(t, dir); got != int64(len(whole)) || s.used.Load() != got {
			t.Fatalf("room %d: %d bytes in %v, %d in use, want %d", room, got, names, s.used.Load(), len(whole))
		}
		to := newTarget(t)
		end := replaying(s, to)
		emptied(t, s, dir)
		end()
		if strings.Join(to.got, " ") != "p-0 p-1 p-2" {
			t.Fatalf("room %d: %v", room, to.got)
		}
		closeStore(t, s)
	}
}

// After a failed fsync the file is given up, and what it was about is written
// again elsewhere.
func TestFailures(t *testing.T) {
	for name, fail := range map[string]func(d *badDisk){
		"fsync":              func(d *badDisk) { d.syncs = errInjected },
		"create":             func(d *badDisk) { d.creates = errInjected },
		"full, and no cut":   func(d *badDisk) { d.room, d.truncates = 7, errInjected },
		"full, cut, no sync": func(d *badDisk) { d.room, d.syncs = 7, errInjected },
	} {
		t.Run(name, func(t *testing.T) {
			var log logged
			dir, d := t.TempDir(), goodDisk()
			s := openStore(t, Config{Dir: dir, Log: log.logger()}, d)
			if name != "create" {
				keep(t, s, packet(0, 5), false)
				written(t, s)
			}
			frames := [][]byte{packet(1, 5), packet(2, 5)}
			for _, f := range frames { // before the fault, after which there are no places
				await.True(t, "a place", func() bool { return s.TryReserve(len(f)) })
			}
			d.set(fail)
			s.Put(frames[0], false)
			s.Put(frames[1], true)
			await.True(t, "unwritable", func() bool { return !s.Status().Writable })
			d.set(func(d *badDisk) { d.room, d.syncs, d.creates, d.truncates = -1, nil, nil, nil })
			await.True(t, "writable", func() bool { return s.Status().Writable })
			written(t, s)
			to := newTarget(t)
			end := replaying(s, to)
			await.True(t, "delivered", func() bool { return s.Status().Packets == 0 })
			end()
			st := s.Status()
			if want := map[bool]int{true: 1, false: 2}[name == "create"]; len(to.got) != want || st.RefusedPackets != 1 {
				t.Errorf("%v, %+v", to.got, st)
			}
			if log.count("cannot be written") != 1 {
				t.Errorf("log:\n%s", log.buf.String())
			}
			closeStore(t, s)
			// Whatever the failure left behind, the next start copes with it.
			s = openStore(t, Config{Dir: dir}, realDisk{})
			if st := s.Status(); st.Packets != 0 || st.RefusedPackets != 1 || !st.Writable {
				t.Errorf("after a restart: %+v", st)
			}
		})
	}
}

func TestCloseTellsWhatIsLost(t *testing.T) {
	await.LeavesNothing(t)
	d := goodDisk()
	s := openStore(t, Config{Dir: t.TempDir()}, d)
	frames := [][]byte{packet(0, 1), packet(1, 1)}
	for _, f := range frames { // before the fault, after which there are no places
		await.True(t, "a place", func() bool { return s.TryReserve(len(f)) })
	}
	d.set(func(d *badDisk) { d.syncs = errInjected })
	s.Put(frames[0], false)
	s.Put(frames[1], true)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // it does not give up before
		await.True(t, "unwritable", func() bool { return !s.Status().Writable })
		cancel()
	}()
	if err := s.Close(ctx); !errors.Is(err, errInjected) || !strings.Contains(err.Error(), "2 packets") {
		t.Errorf("%v", err)
	}
}

func TestFolderOrFileDeletedByHand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "letters")
	s := openStore(t, Config{Dir: dir}, realDisk{})
	keep(t, s, packet(0, 1), false)
	written(t, s)
	_, names := onDisk(t, dir)
	if err := os.Remove(filepath.Join(dir, names[0])); err != nil {
		t.Fatal(err)
	}
	keep(t, s, packet(1, 1), false) // must not go to a file without a name
	written(t, s)
	await.True(t, "the books are right", func() bool {
		got, _ := onDisk(t, dir)
		return got == int64(len(packet(1, 1))) && s.Status().Bytes == got && s.used.Load() == got && s.Status().Packets == 1
	})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s.overdraw(int64(len(packet(2, 1))))
	s.Put(packet(2, 1), false)
	await.True(t, "there again", func() bool {
		st := s.Status()
		return st.Writable && st.ReservedBytes == 0 && st.Packets == 1 && s.used.Load() == st.Bytes
	})
	if _, err := Open(Config{Dir: dir}); err == nil {
		t.Error("the new folder is not locked")
	}
	to := newTarget(t)
	end := replaying(s, to)
	emptied(t, s, dir)
	end()
	if fmt.Sprint(to.got) != "[p-2]" {
		t.Errorf("%v", to.got)
	}
}
