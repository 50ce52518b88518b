package harness

import (
	"runtime"
	"time"
)

// settling watches how long it takes until everything that was open at a
// moment has its answer.
type settling struct {
	took chan time.Duration // one value
	stop chan struct{}
}

// SettlesFromNow begins to measure the time to settle: when the fault is made,
// or when its cause is taken away, where nothing can settle before.
func (r *Run) SettlesFromNow() {
	r.unwatch()
	s := &settling{took: make(chan time.Duration, 1), stop: make(chan struct{})}
	r.settling = s
	began, mark, oracle := time.Now(), r.S.Oracle.Mark(), r.S.Oracle
	go func() {
		poll := time.NewTicker(pollEvery)
		defer poll.Stop()
		for !oracle.Settled(mark) {
			select {
			case <-s.stop:
				return
			case <-poll.C:
			}
		}
		s.took <- time.Since(began)
	}()
}

// unwatch ends a measurement that nobody waits for any more.
func (r *Run) unwatch() {
	if r.settling != nil {
		close(r.settling.stop)
		r.settling = nil
	}
}

// AwaitSettled waits until what was open has its answer. It may be called as
// soon as that is to be expected; Each does at the latest.
func (r *Run) AwaitSettled() {
	if r.settling == nil {
		return
	}
	select {
	case took := <-r.settling.took:
		r.settled(took)
		r.unwatch()
	case <-time.After(Patience):
		r.Fail("not within %v: what was open at the fault is answered", Patience)
		runtime.Goexit()
	}
}

func (r *Run) settled(d time.Duration) {
	r.result.Settle = max(r.result.Settle, d)
	if d > settleLimit {
		r.Fail("it took %v to settle, the limit is %v", d.Round(time.Millisecond), settleLimit)
	}
}
