package loop

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"sluice/server/dispatch"
)

// ticker wakes a loop at a pace that the loop sets. Only setPace is for the
// loop's goroutine; the rest is for whoever owns the loop.
type ticker struct {
	pending atomic.Bool // a tick is on its way: the loop is busy, and the next does the work of both
	pace    chan time.Duration
	stop    chan struct{}
	done    sync.WaitGroup
}

func newTicker() ticker {
	return ticker{pace: make(chan time.Duration, 1), stop: make(chan struct{})}
}

// start calls execute at the pace until end, or until it fails.
func (t *ticker) start(execute func() error) {
	t.done.Add(1)
	go func() {
		defer t.done.Done()
		clock := time.NewTicker(dispatch.TickEvery)
		defer clock.Stop()
		for {
			select {
			case <-t.stop:
				return
			case d := <-t.pace:
				clock.Reset(d)
			case <-clock.C:
				if !t.pending.Swap(true) && execute() != nil {
					return
				}
			}
		}
	}()
}

// end stops the ticks and waits for their goroutine.
func (t *ticker) end() {
	close(t.stop)
	t.done.Wait()
}

// setPace sets the time between ticks. The loop is the only sender, so after
// taking back what was not yet read there is room.
func (t *ticker) setPace(d time.Duration) {
	select {
	case <-t.pace:
	default:
	}
	t.pace <- d
}

// yieldEvery is half of what Go's scheduler lets a goroutine run without a look at
// it.
const yieldEvery = 5 * time.Millisecond

// yield lets the scheduler see that the loop goes on. A saturated loop always finds
// something ready, so that it never waits, and gnet never yields. After 10 ms Go's
// monitor takes such a goroutine for one that hogs its processor: it asks it to stop,
// and takes the processor away from each system call that it finds it in, every
// 20 µs.
func (l *Loop) yield() {
	if now := l.pump.Core().Now(); now-l.yieldedAt >= yieldEvery {
		l.yieldedAt = now
		runtime.Gosched()
	}
}
