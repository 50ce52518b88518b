package deadletter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sluice/internal/await"
)

func TestReplayWithRefusalsAndFinals(t *testing.T) {
	await.LeavesNothing(t)
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir, MaxBytes: 1 << 20}, realDisk{})
	const n = 1000
	for i := range n {
		keep(t, s, packet(i, 10), i%250 == 249)
	}
	to := newTarget(t)
	busy := errors.New("busy")
	tries := map[string]int{}
	to.answer = func(id string) (Result, bool, error) {
		tries[id]++
		var i int
		if _, err := fmt.Sscanf(id, "p-%d", &i); err != nil {
			t.Error(err)
		}
		switch {
		case i%100 == 7:
			return Result{Final: true}, true, nil
		case i%10 == 3 && tries[id] == 1:
			return Result{}, true, busy
		case i%10 == 4 && tries[id] <= 2:
			return Result{}, false, nil // its fate comes later
		}
		return Result{Delivered: true}, true, nil
	}
	end := replaying(s, to)
	await.True(t, "all have their fate", func() bool {
		to.release(Result{}) // i%10 == 4: refused once more, not for ever
		return s.Status().Packets == 0
	})
	end()
	st := s.Status()
	if st.RefusedPackets != 4+10 || to.delivered() != n-14 {
		t.Errorf("%d delivered, %+v", to.delivered(), st)
	}
	for id, k := range to.deliverd {
		if k != 1 {
			t.Errorf("%s delivered %d times", id, k)
		}
	}
	written(t, s)
	await.True(t, "only what was refused is left", func() bool {
		got, _ := onDisk(t, dir)
		return s.used.Load() == got && s.Status().Bytes == got
	})
	closeStore(t, s)
	s = openStore(t, Config{Dir: dir}, realDisk{})
	if again := s.Status(); again.RefusedPackets != st.RefusedPackets || again.Packets != 0 {
		t.Errorf("after a restart: %+v", again)
	}
}

func TestWindowIsBoundedAndRestartRepeatsAtMostIt(t *testing.T) {
	await.LeavesNothing(t)
	for name, tc := range map[string]struct{ extra, most int }{
		"by frames": {10, windowFrames},
		"by bytes":  {500_000, windowBytes / 500_000},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, Config{Dir: dir}, realDisk{})
			n := tc.most*2 + tc.most/2
			for i := range n {
				keep(t, s, packet(i, tc.extra), false)
			}
			written(t, s)
			to := newTarget(t)
			to.answer = func(string) (Result, bool, error) { return Result{Delivered: true}, false, nil }
			end := replaying(s, to)
			atTarget := func(want int) func() bool {
				return func() bool { to.mu.Lock(); defer to.mu.Unlock(); return len(to.held) == want }
			}
			await.True(t, "a window in flight", atTarget(tc.most))
			first := to.release(Result{Delivered: true})
			await.True(t, "the next window", atTarget(tc.most))
			end()
			closeStore(t, s) // with half a batch out, unanswered
			late := to.release(Result{Delivered: true})
			s = openStore(t, Config{Dir: dir}, realDisk{})
			if got := s.Status().Packets; got != n-first || late != tc.most {
				t.Fatalf("%d wait, want %d", got, n-first)
			}
			to.answer = nil
			end = replaying(s, to)
			emptied(t, s, dir)
			end()
			closeStore(t, s)
			twice := 0
			for i := range n {
				switch k := to.deliverd[fmt.Sprintf("p-%d", i)]; k {
				case 1:
				case 2:
					twice++
				default:
					t.Fatalf("p-%d delivered %d times", i, k)
				}
			}
			if twice > tc.most || to.maxHeld > tc.most {
				t.Errorf("%d repeated, %d in flight; at most %d allowed", twice, to.maxHeld, tc.most)
			}
		})
	}
}

// Outcomes that come after Replay has returned count until Close.
func TestLateOutcomesCount(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir}, realDisk{})
	for i := range 10 {
		keep(t, s, packet(i, 1), false)
	}
	to := newTarget(t)
	to.answer = func(id string) (Result, bool, error) { return Result{Delivered: true}, false, nil }
	end := replaying(s, to)
	await.True(t, "in flight", func() bool { to.mu.Lock(); defer to.mu.Unlock(); return len(to.held) == 10 })
	end()
	to.mu.Lock()
	for _, done := range to.held[1:] {
		done(Result{Delivered: true})
	}
	to.held[0](Result{Final: true})
	to.held[0](Result{Delivered: true}) // once is enough
	to.mu.Unlock()
	closeStore(t, s)
	s = openStore(t, Config{Dir: dir}, realDisk{})
	if st := s.Status(); st.Packets != 0 || st.RefusedPackets != 1 {
		t.Errorf("%+v", st)
	}
}

// The cursor never passes a frame that has no fate, however many behind it have.
func TestCursorWaitsForTheSlowest(t *testing.T) {
	for slowest := range 10 {
		dir := t.TempDir()
		s := openStore(t, Config{Dir: dir}, realDisk{})
		for i := range 10 {
			keep(t, s, packet(i, 1), false)
		}
		written(t, s)
		to := newTarget(t)
		to.answer = func(string) (Result, bool, error) { return Result{Delivered: true}, false, nil }
		end := replaying(s, to)
		await.True(t, "in flight", func() bool { to.mu.Lock(); defer to.mu.Unlock(); return len(to.held) == 10 })
		to.mu.Lock()
		for i := 9; i >= 0; i-- {
			if i != slowest {
				to.held[i](Result{Delivered: true})
			}
		}
		to.mu.Unlock()
		end()
		closeStore(t, s)
		s = openStore(t, Config{Dir: dir}, realDisk{})
		if st := s.Status(); st.Packets != 10-slowest {
			t.Errorf("p-%d has no fate, and %d packets wait, want %d", slowest, st.Packets, 10-slowest)
		}
		closeStore(t, s)
	}
}

func TestNotWellIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir}, realDisk{})
	for i := range 50 {
		keep(t, s, packet(i, 1), false)
	}
	to := newTarget(t)
	to.well = false
	end := replaying(s, to)
	written(t, s)
	to.mu.Lock()
	if to.offers != 0 {
		t.Errorf("%d offers", to.offers)
	}
	to.well = true
	to.mu.Unlock()
	emptied(t, s, dir)
	// What comes later is delivered too, and goes through a file all the same.
	keep(t, s, packet(50, 1), false)
	await.True(t, "delivered", func() bool { return to.delivered() == 51 })
	emptied(t, s, dir)
	end()
}

func TestFileDeletedWhileItIsDelivered(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, fileName(Waiting, 5), append(packet(0, 1), packet(1, 1)...))
	writeFile(t, dir, fileName(Waiting, 6), packet(2, 1))
	writeFile(t, dir, fileName(Waiting, 7), packet(3, 1))
	s := openStore(t, Config{Dir: dir}, realDisk{})
	to := newTarget(t)
	to.answer = func(id string) (Result, bool, error) {
		_ = os.Remove(filepath.Join(dir, fileName(Waiting, 5)))
		_ = os.Remove(filepath.Join(dir, fileName(Waiting, 6)))
		return Result{Delivered: true}, true, nil
	}
	end := replaying(s, to)
	emptied(t, s, dir)
	end()
	if to.deliverd["p-0"] != 1 || to.deliverd["p-2"] != 0 || to.deliverd["p-3"] != 1 || s.used.Load() != 0 {
		t.Errorf("%v, %d in use", to.got, s.used.Load())
	}
}

func TestFileCutWhileItIsDelivered(t *testing.T) {
	dir := t.TempDir()
	var all []byte
	for i := range 40 {
		all = append(all, packet(i, 100_000)...)
	}
	path := writeFile(t, dir, fileName(Waiting, 5), all)
	s := openStore(t, Config{Dir: dir}, realDisk{})
	to := newTarget(t)
	to.answer = func(id string) (Result, bool, error) {
		if id == "p-10" {
			if err := os.Truncate(path, 2_000_000); err != nil {
				t.Error(err)
			}
		}
		return Result{Delivered: true}, true, nil
	}
	end := replaying(s, to)
	await.True(t, "set aside", func() bool { return s.Status().DamagedFiles == 1 })
	end()
	if st := s.Status(); st.Packets != 0 || to.delivered() < 19 || to.delivered() > 22 {
		t.Errorf("%d delivered, %+v", to.delivered(), st)
	}
}

// A file that the disk does not give is put off and others go first; later it
// is delivered.
func TestUnreadableFileIsPutOff(t *testing.T) {
	var log logged
	dir, d := t.TempDir(), goodDisk()
	for i := range 3 {
		writeFile(t, dir, fileName(Waiting, int64(i+1)), packet(i, 1))
	}
	s := openStore(t, Config{Dir: dir, Log: log.logger()}, d)
	d.set(func(d *badDisk) { d.reads = errInjected })
	to := newTarget(t)
	end := replaying(s, to)
	await.True(t, "all are put off", func() bool { return log.count("cannot be read; others go first") == 3 })
	d.set(func(d *badDisk) { d.reads = nil })
	emptied(t, s, dir)
	end()
	if to.delivered() != 3 || log.count("others go first") != 3 {
		t.Errorf("%v\n%s", to.got, log.buf.String())
	}
}

// A file that cannot be removed is delivered once all the same.
func TestFileThatCannotBeRemoved(t *testing.T) {
	var log logged
	dir, d := t.TempDir(), goodDisk()
	s := openStore(t, Config{Dir: dir, Log: log.logger()}, d)
	d.set(func(d *badDisk) { d.others = errInjected })
	keep(t, s, packet(0, 1), false)
	to := newTarget(t)
	end := replaying(s, to)
	await.True(t, "delivered", func() bool { return log.count("cannot be removed") == 1 })
	d.set(func(d *badDisk) { d.others = nil })
	emptied(t, s, dir)
	end()
	if to.deliverd["p-0"] != 1 {
		t.Errorf("%v", to.got)
	}
}

// A full folder still gets rid of what is refused for ever: the move overdraws
// the cap by what is moved, and gives it back with the file.
func TestFinalsOfAFullFolder(t *testing.T) {
	dir := t.TempDir()
	f := packet(0, 10)
	s := openStore(t, Config{Dir: dir, MaxBytes: int64(10 * len(f))}, realDisk{})
	for range 10 {
		keep(t, s, f, false)
	}
	to := newTarget(t)
	to.answer = func(string) (Result, bool, error) { return Result{Final: true}, true, nil }
	end := replaying(s, to)
	await.True(t, "all moved", func() bool {
		st := s.Status()
		return st.RefusedPackets == 10 && st.Packets == 0 && st.Bytes == int64(10*len(f)) && s.used.Load() == st.Bytes
	})
	end()
	if s.TryReserve(1) {
		t.Error("a place beyond the cap")
	}
}

func TestReplayEndsWithTheStore(t *testing.T) {
	await.LeavesNothing(t)
	s := openStore(t, Config{Dir: t.TempDir()}, realDisk{})
	ended := make(chan struct{})
	go func() { defer close(ended); s.Replay(context.Background(), newTarget(t)) }()
	closeStore(t, s)
	<-ended
	s.Replay(context.Background(), newTarget(t))
}
