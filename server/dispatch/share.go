package dispatch

import "time"

// Fairness under shortage, and what a refused sender is told.
//
// While there is room, whoever comes is served. When the queue or the byte
// budget is three quarters full, a session that holds more than one and a half
// times its part of what the loop holds (all unsettled frames over the sessions
// that have any) is answered busy, before its frame is even scanned; the last
// quarter is for those that hold less. At one part exactly, senders that are
// alike would be refused in turn, whenever they happen to be above the mean. So an agent that sends ten times as much as the others
// finds its own frames refused, and not theirs. The part is of unsettled
// frames and not of a rate: what a sender holds is what it takes from others.

// shortage says, at the beginning of a turn, whether places are short.
func (c *Core) shortage() bool {
	sh := c.shared
	return sh.queued.Load()*4 >= int64(c.cfg.MaxQueueFrames)*3 || sh.budget.used.Load() >= sh.budget.limit.Load()/4*3
}

// overPart says that a session holds more than its part, with some slack.
func (c *Core) overPart(s *Session) bool {
	return s.unsettled >= partSlack && 2*uint64(s.unsettled)*uint64(c.active) > 3*uint64(c.held)
}

// partSlack is the number of frames that any session may hold: where a part is
// one frame or two, half a part more or less means nothing.
const partSlack = 4

// admitted and answered keep the sums that a part is computed from.
func (c *Core) admitted(s *Session, n int) {
	if s.unsettled == 0 {
		c.active++
	}
	s.unsettled += n
	c.held += n
}

func (c *Core) answered(s *Session, n int) {
	s.unsettled -= n
	c.held -= n
	if s.unsettled == 0 {
		c.active--
	}
}

// Bounds of what a refused sender is told to wait. The upper one is what it is
// told while nothing at all is delivered: one frame a second from each sender
// costs nobody anything, and recovery is noticed soon.
const (
	minBusyRetry = 20 * time.Millisecond
	maxBusyRetry = time.Second
)

// measureRate renews this core's part of the rate at which all deliver. Only
// while frames wait: then it is what the analyzers can take, and otherwise what
// they were sent.
func (c *Core) measureRate(past time.Duration) {
	if c.queue.n == 0 {
		c.ratedFor, c.ratedAt = 0, c.count.Delivered
		return
	}
	if c.ratedFor += past; c.ratedFor < 200*time.Millisecond {
		return
	}
	n := c.count.Delivered - c.ratedAt
	now := float64(n) / c.ratedFor.Seconds()
	rate := int64((float64(c.rate) + now) / 2) // half of it is of the last 200 ms, three quarters of the last 400
	c.shared.rate.Add(rate - c.rate)
	c.rate, c.ratedFor, c.ratedAt = rate, 0, c.count.Delivered
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
	wait := time.Duration(float64(sh.queued.Load()) / 2 / float64(rate) * float64(time.Second))
	return max(minBusyRetry, min(wait, maxBusyRetry))
}
