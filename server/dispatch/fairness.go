package dispatch

import "time"

// Fairness under shortage, and what a refused sender is told.
//
// While there is room, whoever comes is served. When the queue or the byte
// budget is three quarters full, a source that holds more than one and a half
// times its fair share of what the loop holds is answered busy, before its frame
// is even scanned; the last quarter is for those that hold less. At one fair
// share exactly, senders that are alike would be refused in turn, whenever they
// happen to be above the mean.
//
// Fair shares go down the tree of parties: all that the loop holds is shared by
// the tenants that hold anything, a tenant's by its addresses, an address's by its
// sources. So an agent that sends ten times as much as the others finds its own
// frames refused, and so does a host that opens ten times as many connections. The
// share is of unsettled frames and not of a rate: what a sender holds is what it
// takes from others.

// short says that places in the queue or bytes of the budget are short.
func (sh *Shared) short() bool {
	return sh.places.Filled(3, 4) || sh.Budget.Used() >= sh.Budget.Limit()/4*3
}

// overShare says that a source holds more than its fair share, with some slack.
func (s *Source) overShare() bool {
	if s.unsettled < shareSlack {
		return false
	}
	held, sharers := 0.0, 1.0
	for p := s.party; p != nil; p = p.parent {
		sharers *= float64(p.active)
		held = float64(p.frames)
	}
	return 2*float64(s.unsettled)*sharers > 3*held
}

// shareSlack is the number of frames that any source may hold: where a fair
// share is one frame or two, half a share more or less means nothing.
const shareSlack = 4

// Greedy says that the source holds more than its fair share while places are
// short: what it is to hand in should be refused.
func (s *Source) Greedy() bool { return s.core.shared.short() && s.overShare() }

// Bounds of what a refused sender is told to wait. The upper one is what it is
// told while nothing at all is delivered: one frame a second from each sender
// costs nobody anything, and recovery is noticed soon.
const (
	minBusyRetry = 20 * time.Millisecond
	maxBusyRetry = time.Second
)

// deliveryRate is a core's contribution to the shared rate of delivery.
type deliveryRate struct {
	perSecond int64
	over      time.Duration // since the last measurement
	since     uint64        // delivered by then
}

// measureRate renews this core's contribution to the rate at which all deliver.
// Only while frames wait: then it is what the analyzers can take, and otherwise
// what they were sent.
func (c *Core) measureRate(past time.Duration) {
	r := &c.pace
	if c.queue.Len() == 0 {
		r.over, r.since = 0, c.count.Delivered
		return
	}
	if r.over += past; r.over < 200*time.Millisecond {
		return
	}
	n := c.count.Delivered - r.since
	now := float64(n) / r.over.Seconds()
	rate := int64((float64(r.perSecond) + now) / 2) // half of it is of the last 200 ms, three quarters of the last 400
	c.shared.rate.Add(rate - r.perSecond)
	r.perSecond, r.over, r.since = rate, 0, c.count.Delivered
}

// RetryAfter is when a sender that was refused should try again: when half of
// what waits will have been delivered, at the rate measured when frames last
// waited.
func (sh *Shared) RetryAfter() time.Duration {
	rate := sh.rate.Load()
	if rate <= 0 {
		if sh.Table.Load().Empty() {
			return maxBusyRetry
		}
		return 5 * minBusyRetry // nothing has waited long enough to be measured
	}
	wait := time.Duration(float64(sh.Queued()) / 2 / float64(rate) * float64(time.Second))
	return max(minBusyRetry, min(wait, maxBusyRetry))
}
