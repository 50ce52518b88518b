package loop

import (
	"sync"
	"sync/atomic"
	"time"

	"sluice/server/dispatch"
)

const (
	// idleTick is the time between the ticks of a loop with nothing to do. A
	// tick wakes a sleeping thread, and Go's monitor with it: at 50 a second
	// two idle loops were seen to cost a tenth of a core on a virtual machine.
	idleTick = 250 * time.Millisecond
	// idleAfter is how many ticks a loop must have had nothing to do.
	idleAfter = 50
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

// beginTurn begins a turn of traffic, which an idle loop wakes up for, and returns
// its time.
func (l *Loop) beginTurn() time.Duration {
	now := l.now()
	l.core.BeginTurn(now)
	if l.quietTicks > idleAfter {
		l.ticker.setPace(dispatch.TickEvery)
	}
	l.quietTicks = 0
	return now
}

// tick does what time alone brings about.
func (l *Loop) tick() {
	l.ticker.pending.Store(false)
	l.core.BeginTurn(l.now())
	l.core.Tick()
	l.mail.judge(l.core)
	busy := l.core.Unsettled() + len(l.blocked) + len(l.lingering)
	for _, c := range l.blocked {
		c.blocked = false
		switch {
		case c.session != nil:
			l.core.Touch(c.session)
		case c.link != nil && c.gc != nil:
			l.core.TouchLink(c.link)
		}
	}
	l.blocked = l.blocked[:0]
	l.flush()
	l.endLingering()
	switch {
	case busy > 0:
		if l.quietTicks > idleAfter {
			l.ticker.setPace(dispatch.TickEvery)
		}
		l.quietTicks = 0
	case l.quietTicks <= idleAfter:
		if l.quietTicks++; l.quietTicks > idleAfter {
			l.ticker.setPace(idleTick)
		}
	}
}
