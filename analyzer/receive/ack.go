package receive

import (
	"time"

	"sluice/protocol"
)

// heldAck is an ACK that waits for its time.
type heldAck struct {
	due                 time.Time
	upTo, frames, bytes uint64
}

// settle counts frames that are answered, or will be by the next ACK. Like
// everything in this file it is called with the lock held.
func (c *conn) settle(frames, bytes uint64) {
	c.settledFrames += frames
	c.settledBytes += bytes
}

// upTo returns the largest number up to which everything is settled. Frames
// settle in order except for those that the reader refuses, so what is not
// settled begins where the worker is, or else where the inbox begins.
func (c *conn) upTo() uint64 {
	switch {
	case c.working != 0:
		return c.working - 1
	case !c.inbox.empty():
		return c.inbox.runs[0].first - 1
	}
	return c.frames
}

// announce tells the sender what is settled and how much more it may send: at
// once, or after the delay.
func (c *conn) announce() {
	cfg := &c.srv.cfg
	if c.frames == 0 {
		return // an ACK of nothing would only surprise
	}
	upTo := c.upTo()
	a := heldAck{
		upTo:   upTo,
		frames: max(c.grantFrames, min(c.settledFrames+uint64(cfg.WindowFrames), upTo+protocol.MaxCreditSpan)),
		bytes:  max(c.grantBytes, c.settledBytes+uint64(cfg.WindowBytes)),
	}
	last := heldAck{upTo: c.acked, frames: c.grantFrames, bytes: c.grantBytes}
	if n := len(c.held); n > 0 {
		last = c.held[n-1]
	}
	if a.upTo == last.upTo && a.frames <= last.frames {
		return
	}
	if cfg.Delay == 0 || c.draining || c.closing {
		c.held = c.held[:0]
		c.ack(a)
		return
	}
	// Due times are rounded up to a step, so that few ACKs are held however
	// many batches there are.
	step := max(cfg.Delay/delaySteps, time.Microsecond)
	a.due = time.Now().Add(cfg.Delay + step).Truncate(step)
	if n := len(c.held); n > 0 && !c.held[n-1].due.Before(a.due) {
		a.due = c.held[n-1].due
		c.held[n-1] = a
		return
	}
	c.held = append(c.held, a)
	if len(c.held) == 1 {
		c.armDelay()
	}
}

// ack puts an ACK among the answers; the credit in it is what binds the sender
// from now on.
func (c *conn) ack(a heldAck) {
	c.acked, c.grantFrames, c.grantBytes = a.upTo, a.frames, a.bytes
	c.answers.ack(a.upTo, a.frames, a.bytes)
}

func (c *conn) armDelay() {
	wait := time.Until(c.held[0].due)
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.release)
		return
	}
	c.timer.Reset(wait)
}

// release writes the last ACK that is due; it says all that the ones before it
// would have said. It runs on the timer's goroutine.
func (c *conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, due := time.Now(), 0
	for due < len(c.held) && !c.held[due].due.After(now) {
		due++
	}
	if due > 0 {
		c.ack(c.held[due-1])
		c.held = append(c.held[:0], c.held[due:]...)
		c.write()
	}
	if len(c.held) > 0 && !c.dead {
		c.armDelay()
	}
}

// releaseAll writes what is held back, whether it is due or not: the
// connection is about to end, and what is settled should be known.
func (c *conn) releaseAll() {
	if n := len(c.held); n > 0 {
		c.ack(c.held[n-1])
		c.held = c.held[:0]
	}
	c.write()
}
