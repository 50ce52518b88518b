package harness

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/e2e/oracle"
)

// awaitQuiet waits until the ledgers balance, nothing is queued or in flight,
// and the analyzers write nothing more.
func (r *Run) awaitQuiet() {
	var last error
	began := time.Now()
	for {
		if last = r.S.quiet(context.Background()); last == nil {
			break
		}
		if time.Since(began) > Patience {
			r.Fail("the ledger is not at rest: %v", last)
			return
		}
		time.Sleep(4 * pollEvery)
	}
	for size, since := r.S.recorded(), time.Now(); time.Since(since) < 250*time.Millisecond; time.Sleep(4 * pollEvery) {
		if now := r.S.recorded(); now != size {
			size, since = now, time.Now()
		}
	}
}

// watchers is how many descriptors more than at the start may be open because
// of connections to /stats.
const watchers = 8

// awaitNothingLeft waits until no distributor has more sessions or descriptors
// than before there were agents: row D7, of every scenario.
func (r *Run) awaitNothingLeft() {
	for i, d := range r.S.Distributors {
		for began := time.Now(); ; time.Sleep(4 * pollEvery) {
			st, err := d.Stats(context.Background())
			open, err2 := d.proc.Descriptors()
			if err == nil && err2 == nil && st.Sessions == 0 && open <= r.S.fresh[i]+watchers {
				break
			}
			if time.Since(began) > Patience {
				r.Fail("%s still has %d sessions and %d descriptors; there were %d at the start; %v", d.Name, st.Sessions, open, r.S.fresh[i], errors.Join(err, err2))
				break
			}
		}
	}
}

// judge compares what was told with what was delivered. Whatever was
// acknowledged must be in the receipts by now, quiet or not.
func (r *Run) judge() oracle.Judgement {
	j, err := r.S.judge()
	if err != nil {
		r.Fail("%v", err)
	}
	r.judged = true
	r.result.Issued, r.result.Acked, r.result.Lost, r.result.Dup = j.Issued, j.Acked, j.Lost, j.Dup
	if j.Lost+j.Strangers+j.Unlike > 0 {
		r.Fail("%d lost, %d receipts of strangers, %d messages unlike what was sent:\n%s", j.Lost, j.Strangers, j.Unlike, strings.Join(j.Some, "\n"))
	}
	if n, some := r.S.Oracle.Faults(); n > 0 {
		r.Fail("agents saw %d times what must never be:\n%s", n, strings.Join(some, "\n"))
	}
	return j
}

// autopsy judges a scenario that did not reach its end: whether something was
// lost is worth knowing all the same.
func (r *Run) autopsy() {
	if err := r.S.closeLoad(time.Second); err != nil {
		r.Fail("when it was stopped: %v", err)
	}
	r.judge()
}

// finish waits for quiet and judges.
func (r *Run) finish() {
	r.StopLoad()
	r.awaitQuiet()
	r.awaitNothingLeft()
	j, res := r.judge(), r.result
	failed, resends := r.S.failedHandOvers(), r.S.resends()
	switch r.row.Bound {
	case NoDup:
		res.Bound, res.BoundIs = 0, "none allowed"
	case HandOver:
		res.Bound, res.BoundIs = failed, "hand-overs that failed"
	case Resend:
		res.Bound, res.BoundIs = resends, "resends after a lost connection"
	case Both:
		res.Bound, res.BoundIs = failed+resends, fmt.Sprintf("%d failed hand-overs, %d resends", failed, resends)
	case Own:
		res.Bound, res.BoundIs = r.bound, r.why
	}
	if res.Bound >= 0 && j.Dup > res.Bound {
		r.Fail("%d duplicates, the bound is %d (%s)", j.Dup, res.Bound, res.BoundIs)
	}
	if j.Lines > 0 {
		r.See("%d messages compared", j.Lines)
	}
	for _, d := range r.S.Distributors {
		if worst := d.worstUnaccounted(); worst != 0 {
			r.Fail("%s: the ledger was off by %d at some time", d.Name, worst)
		}
	}
	if j.Acked <= MinAcked {
		r.Invalid("%d packets were acknowledged, over %d are needed", j.Acked, MinAcked)
	}
	if res.Times < res.Due {
		r.Invalid("the fault fired %d times of %d", res.Times, res.Due)
	}
}
