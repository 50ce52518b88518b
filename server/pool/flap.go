package pool

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// steadyAfter is how long all links of an analyzer must have stood for one of
	// its earlier losses to be forgiven.
	steadyAfter = 10 * time.Second

	// firstFlapPause is after the second loss, and longestFlapPause is where the
	// doubling ends. The first loss costs only firstPause: a restart is no flapping.
	firstFlapPause   = time.Second
	longestFlapPause = time.Minute
)

// flap holds off an analyzer that comes back and is lost again. Each return costs
// its loops what they hand to it, and what was in flight is sent to others late;
// an analyzer behind a path that swallows large packets passes every check and
// fails under the first load, for ever. So the pause doubles with each loss, up to
// a minute, and the time that it stood pays losses back.
//
// It is one for all loops: an analyzer is in use while every loop has a link, so
// that is when its standing counts, and what follows from one loss is one loss.
// Safe for concurrent use.
type flap struct {
	lines int // links that make it whole

	mu       sync.Mutex
	standing map[int]time.Time // since when, by loop
	whole    time.Time         // since when all stand; zero: not all do
	counted  time.Time         // the last loss that was counted
	losses   int
	until    time.Time // not to be dialled before
}

func (f *flap) ready(loop int, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.standing == nil {
		f.standing = make(map[int]time.Time)
	}
	f.standing[loop] = now
	if len(f.standing) == f.lines {
		f.whole = now
	}
}

func (f *flap) lost(loop int, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, stood := f.standing[loop]
	if !stood {
		return
	}
	delete(f.standing, loop)
	if !f.whole.IsZero() {
		f.losses = max(0, f.losses-int(now.Sub(f.whole)/steadyAfter))
		f.whole = time.Time{}
	}
	if !since.After(f.counted) {
		return // lost in the wake of the one that was counted
	}
	pause := flapPause(f.losses)
	f.losses++
	f.counted, f.until = now, now.Add(pause/2+rand.N(pause/2))
}

// flapPause is the longest pause after so many earlier losses.
func flapPause(losses int) time.Duration {
	switch {
	case losses == 0:
		return firstPause
	case losses > 6:
		return longestFlapPause
	}
	return firstFlapPause << (losses - 1)
}

// wait is how much longer the analyzer is not to be dialled.
func (f *flap) wait(now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(0, f.until.Sub(now))
}

// forget begins anew, for another target.
func (f *flap) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.losses, f.until = 0, time.Time{}
}
