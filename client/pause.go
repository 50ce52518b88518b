package client

import (
	"math/rand/v2"
	"time"
)

const (
	// firstPause and longestPause bound the back-off after "busy" when the
	// receiver did not say how long to wait; maxRetryAfter bounds what it says.
	firstPause    = 10 * time.Millisecond
	longestPause  = time.Second
	maxRetryAfter = time.Minute
)

// pause is the time in which nothing is sent because the receiver said busy.
// Everything waits, not only what was refused: whatever went out now would meet
// the same full queue. It belongs to the client's mutex.
type pause struct {
	until   time.Time // zero: not paused
	timer   *time.Timer
	backoff int     // consecutive pauses of our own choice
	stretch float64 // of the current pause, 1 to 1.5
}

// paused says whether nothing may be sent. With c.mu.
func (c *Client) paused() bool { return !c.pause.until.IsZero() }

// pauseFor stops sending for at least as long as the receiver says, or for a
// jittered, doubling time if it does not say. The jitter only ever adds:
// senders that were refused together must not come back together, and none may
// come back early. Refusals during a pause make it longer where they say so,
// but it is one pause, with one jitter. With c.mu.
func (c *Client) pauseFor(retryAfter time.Duration, now time.Time) {
	p := &c.pause
	if !c.paused() {
		p.stretch = 1 + rand.Float64()/2
	}
	d := time.Duration(float64(min(retryAfter, maxRetryAfter)) * p.stretch)
	if retryAfter <= 0 {
		if c.paused() {
			return
		}
		d = jitter(min(longestPause, firstPause<<min(p.backoff, 16)))
		p.backoff++
	}
	until := now.Add(d)
	if !until.After(p.until) {
		return
	}
	p.until = until
	if p.timer == nil {
		p.timer = time.AfterFunc(d, c.resume)
	} else {
		p.timer.Reset(d)
	}
}

// resume ends a pause, unless it was made longer meanwhile: then the timer
// comes again.
func (c *Client) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused() && !time.Now().Before(c.pause.until) {
		c.unpause()
		c.wake()
	}
}

// unpause forgets the pause: it is over, or was asked for on a connection that
// is gone. With c.mu.
func (c *Client) unpause() {
	c.pause.until = time.Time{}
	if c.pause.timer != nil {
		c.pause.timer.Stop()
	}
}

// jitter returns a random duration between d/2 and d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
