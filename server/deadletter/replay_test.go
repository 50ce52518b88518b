package deadletter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sluice/internal/await"
	"sluice/internal/seglog"
)

func TestReplayWithRefusalsAndFinals(t *testing.T) {
	await.LeavesNothing(t)
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir}, seglog.OS{})
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
			return Result{Final: true, Reason: "no good"}, true, nil
		case i%10 == 3 && tries[id] == 1:
			return Result{}, true, busy
		case i%10 == 4 && tries[id] <= 2:
			return Result{}, false, nil // its outcome comes later
		}
		return Result{Delivered: true}, true, nil
	}
	end := replaying(s, to)
	await.True(t, "all have their outcome", func() bool {
		to.release(Result{}) // i%10 == 4: refused once more, not permanently
		return s.Status().Packets == 0
	})
	end()
	if st := s.Status(); st.RefusedPackets != 4+10 || to.delivered() != n-14 {
		t.Errorf("%d delivered, %+v", to.delivered(), st)
	}
	for id, k := range to.deliverd {
		if k != 1 {
			t.Errorf("%s delivered %d times", id, k)
		}
	}
	closeStore(t, s)
	s = openStore(t, Config{Dir: dir}, seglog.OS{})
	if again := s.Status(); again.RefusedPackets != 14 || again.Packets != 0 {
		t.Errorf("after a restart: %+v", again)
	}
	reasons := 0
	files, err := Survey(dir, s.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		_ = f.Each(dir, func(_, reason []byte) error {
			if string(reason) == "no good" {
				reasons++
			}
			return nil
		})
	}
	if reasons != 10 {
		t.Errorf("%d with a reason", reasons)
	}
}

// A letter that nobody takes is at the head of the folder: all others are
// delivered, it is refused after its tries and not before, and tells why.
func TestPoisonBlocksNobody(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir}, seglog.OS{})
	const n = 3 * windowFrames
	for i := range n {
		keep(t, s, packet(i, 10), false)
	}
	to := newTarget(t)
	failures := 0
	to.answer = func(id string) (Result, bool, error) {
		if id == "p-0" {
			failures++
			return Result{Reason: "its handler fails"}, false, nil // told late, as a queue timeout is
		}
		return Result{Delivered: true}, true, nil
	}
	end := replaying(s, to)
	await.True(t, "all others", func() bool { return to.delivered() == n-1 })
	next := n
	await.True(t, "it is refused", func() bool {
		to.release(Result{Reason: "its handler fails"})
		keep(t, s, packet(next, 1), false)
		next++
		return s.Status().RefusedPackets == 1
	})
	end()
	to.mu.Lock()
	defer to.mu.Unlock()
	if failures < MaxTries || to.deliverd["p-0"] != 0 {
		t.Errorf("%d failures", failures)
	}
	if got := held(t, dir)[Refused]; !slices.Equal(got, []string{"p-0"}) {
		t.Errorf("%v", got)
	}
}

// busyTarget delivers other packets, too, as many as it is told to between two
// looks.
type busyTarget struct {
	*fakeTarget
	others, each uint64
}

func (b *busyTarget) Delivered() uint64 { b.others += b.each; return b.others }

// A letter that is alone in the folder is compared with what else is delivered.
func TestPoisonAlone(t *testing.T) {
	for each, want := range map[uint64]int{proof: 1, 0: 0} {
		s := openStore(t, Config{Dir: t.TempDir()}, seglog.OS{})
		keep(t, s, packet(0, 1), false)
		to := newTarget(t)
		failures := 0
		to.answer = func(string) (Result, bool, error) { failures++; return Result{}, true, nil }
		end := replaying(s, &busyTarget{fakeTarget: to, each: each})
		await.True(t, "tried, or refused", func() bool {
			to.mu.Lock()
			defer to.mu.Unlock()
			return failures > 4*MaxTries || s.Status().RefusedPackets == 1
		})
		end()
		if st := s.Status(); st.RefusedPackets != want || want == 1 && failures != MaxTries {
			t.Errorf("%d packets between: %d failures, %+v", each, failures, st)
		}
		closeStore(t, s)
	}
}

// The tries of a letter outlive the process.
func TestTriesOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	counted, next := 0, 1
	for life := 0; life < MaxTries+2; life++ {
		s := openStore(t, Config{Dir: dir}, seglog.OS{})
		if life == 0 {
			keep(t, s, packet(0, 1), false)
		}
		if s.Status().RefusedPackets == 1 {
			closeStore(t, s)
			break
		}
		for range 3 {
			keep(t, s, packet(next, 1), false)
			next++
		}
		written(t, s)
		to := newTarget(t)
		to.answer = func(id string) (Result, bool, error) {
			if id == "p-0" {
				return Result{}, false, nil
			}
			return Result{Delivered: true}, true, nil
		}
		end := replaying(s, to)
		triedOrRefused := func() bool {
			to.mu.Lock()
			defer to.mu.Unlock()
			return len(to.deliverd) == 3 && len(to.held) == 1 || s.Status().RefusedPackets == 1
		}
		await.True(t, "the others, and a try", triedOrRefused)
		counted += to.release(Result{})
		await.True(t, "the next try, or the end", triedOrRefused)
		end() // what is in flight now does not count: the end may be why it fails
		to.release(Result{})
		closeStore(t, s)
	}
	s := openStore(t, Config{Dir: dir}, seglog.OS{})
	if st := s.Status(); counted != MaxTries || st.RefusedPackets != 1 || st.Packets != 0 {
		t.Errorf("%d tries, %+v", counted, st)
	}
}

// An outage is nobody's fault: all letters fail again and again, and none is
// refused.
func TestOutageRefusesNothing(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir}, seglog.OS{})
	const n = 500
	for i := range n {
		keep(t, s, packet(i, 10), false)
	}
	to := newTarget(t)
	out := 0
	to.answer = func(string) (Result, bool, error) {
		out++
		return Result{}, true, nil
	}
	end := replaying(s, to)
	await.True(t, "many failures", func() bool { to.mu.Lock(); defer to.mu.Unlock(); return out > 500 })
	to.mu.Lock()
	to.answer = nil
	to.mu.Unlock()
	emptied(t, s)
	end()
	if st := s.Status(); st.RefusedPackets != 0 || to.delivered() != n {
		t.Errorf("%d delivered, %+v", to.delivered(), st)
	}
}

// Twenty times everything that is in flight fails while others were delivered,
// as when all analyzers are killed under load.
func TestKilledAnalyzersRefuseNothing(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir}, seglog.OS{})
	const n = 10_000
	for i := range n {
		keep(t, s, packet(i, 10), false)
	}
	written(t, s)
	to := newTarget(t)
	asked := 0
	to.answer = func(string) (Result, bool, error) {
		asked++
		return Result{Delivered: true}, asked%3 == 0, nil
	}
	end := replaying(s, to)
	for range 20 {
		await.True(t, "in flight", func() bool { to.mu.Lock(); defer to.mu.Unlock(); return len(to.held) > 20 })
		to.release(Result{Reason: "killed"})
	}
	await.True(t, "all", func() bool { to.release(Result{Delivered: true}); return s.Status().Packets == 0 })
	end()
	if st := s.Status(); st.RefusedPackets != 0 || to.delivered() != n {
		t.Errorf("%d delivered, %+v", to.delivered(), st)
	}
}

// More fail than are remembered: all are delivered in the end.
func TestMoreFailThanAreRemembered(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir}, seglog.OS{})
	const n = lateLetters + 2000
	for i := range n {
		keep(t, s, packet(i, 1), false)
	}
	to := newTarget(t)
	failed := map[string]bool{}
	to.answer = func(id string) (Result, bool, error) {
		if !failed[id] {
			failed[id] = true
			return Result{}, true, nil
		}
		return Result{Delivered: true}, true, nil
	}
	end := replaying(s, to)
	emptied(t, s)
	end()
	if to.delivered() != n || len(to.got) != n {
		t.Errorf("%d delivered, %d times", to.delivered(), len(to.got))
	}
}

// A restart after kill -9 repeats at most the window: what was in flight and
// what was answered and not yet settled.
func TestKillRepeatsAtMostTheWindow(t *testing.T) {
	await.LeavesNothing(t)
	for name, tc := range map[string]struct{ extra, most int }{
		"by frames": {10, windowFrames},
		"by bytes":  {500_000, windowBytes/500_000 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, Config{Dir: dir}, seglog.OS{})
			n := tc.most*6 + tc.most/2
			for i := range n {
				keep(t, s, packet(i, tc.extra), false)
			}
			written(t, s)
			to := newTarget(t)
			given := 0
			to.answer = func(string) (Result, bool, error) {
				given++
				return Result{Delivered: true}, given < 3*tc.most, nil
			}
			end := replaying(s, to)
			await.True(t, "a window in flight", func() bool { to.mu.Lock(); defer to.mu.Unlock(); return len(to.held) >= tc.most-1 })
			to.release(Result{Delivered: true}) // of these, some or none are settled at the kill
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			end()
			closeStore(t, s)
			delivered := to.delivered()
			s = openStore(t, Config{Dir: copied}, seglog.OS{})
			if left := s.Status().Packets; left < n-delivered || left > n-3*tc.most+1+windowFrames {
				t.Errorf("%d are left of %d, %d were delivered", left, n, delivered)
			}
			again := newTarget(t)
			end = replaying(s, again)
			emptied(t, s)
			end()
			closeStore(t, s)
			to.release(Result{Delivered: true})
			twice := 0
			for i := range n {
				id := fmt.Sprintf("p-%d", i)
				switch to.deliverd[id] + again.deliverd[id] {
				case 0:
					t.Fatalf("%s is lost", id)
				case 2:
					twice++
				}
			}
			if twice > 2*tc.most || to.maxHeld > tc.most { // the copy is not of one moment: a window before it, and one after
				t.Errorf("%d repeated, %d in flight; at most %d allowed", twice, to.maxHeld, tc.most)
			}
		})
	}
}

// Outcomes that come after Replay has returned count until Close.
func TestLateOutcomesCount(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir}, seglog.OS{})
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
	s = openStore(t, Config{Dir: dir}, seglog.OS{})
	if st := s.Status(); st.Packets != 0 || st.RefusedPackets != 1 {
		t.Errorf("%+v", st)
	}
}

func TestNotWellIsLeftAlone(t *testing.T) {
	s := openStore(t, Config{Dir: t.TempDir()}, seglog.OS{})
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
	emptied(t, s)
	keep(t, s, packet(50, 1), false) // what comes later is delivered, too
	await.True(t, "delivered", func() bool { return to.delivered() == 51 })
	emptied(t, s)
	end()
}

// What must not get on a link is kept aside.
func TestUndeliverable(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{Dir: dir, MaxFrame: 4096}, seglog.OS{})
	bad := [][]byte{{0, 0, 0, 3, 'a', 'b', 'c'}, {0, 0, 0, 2, 0x91, 1}, packet(0, 5000)}
	for _, f := range append(bad, packet(1, 1)) {
		keep(t, s, f, false)
	}
	to := newTarget(t)
	end := replaying(s, to)
	await.True(t, "all have their outcome", func() bool { return s.Status().Packets == 0 && s.Status().RefusedPackets == len(bad) })
	end()
	if strings.Join(to.got, " ") != "p-1" {
		t.Errorf("%v", to.got)
	}
}

func TestReplayEndsWithTheStore(t *testing.T) {
	await.LeavesNothing(t)
	s := openStore(t, Config{Dir: t.TempDir()}, seglog.OS{})
	ended := make(chan struct{})
	go func() { defer close(ended); s.Replay(context.Background(), newTarget(t)) }()
	closeStore(t, s)
	<-ended
	s.Replay(context.Background(), newTarget(t))
}
