package client

import (
	"time"

	"sluice/internal/sockq"
	"sluice/protocol"
)

// timing is how long a session waits for its peer. Tests set it short.
type timing struct {
	tick        time.Duration // how often the rest is looked at
	pingAfter   time.Duration // nothing received while an answer is due
	silence     time.Duration // nothing received and nothing arrived there: the peer is dead
	welcomeWait time.Duration // after the HELLO has arrived, before data goes on the first credit
	drainWait   time.Duration // after GOAWAY 0, without any progress towards the last ACK
}

// defaultTiming keeps to the protocol's rule that silence alone is no reason to
// send again: a peer that is merely slow answers the PINGs. A link that is merely
// slow does not let them through, because they lie behind data; there the socket
// tells that bytes still arrive.
func defaultTiming() timing {
	return timing{
		tick:        time.Second / 4,
		pingAfter:   5 * time.Second,
		silence:     15 * time.Second,
		welcomeWait: 2 * time.Second,
		drainWait:   10 * time.Second,
	}
}

// keepalive watches one session. Reading the clock at a tick, and only noting
// in between that something was heard, keeps it off the packet path. With c.mu.
type keepalive struct {
	heard     bool // since the last tick
	moved     bool // bytes that we sent have arrived, since the last tick
	settled   bool // a packet had its answer, since the last tick
	lastHeard time.Time
	lastMoved time.Time // or heard
	lastPing  time.Time // zero: nothing was asked since something was heard
	asked     time.Time // since when a PING has been there without an answer
	arriving  time.Time // the last time that a part of the HELLO was not there yet
	draining  time.Time // since when no progress was made towards the last ACK
	sent      sockq.Progress
	timer     *time.Timer
}

func (k *keepalive) start(c *Client, s *session) {
	now := time.Now()
	k.lastHeard, k.lastMoved, k.arriving = now, now, now
	k.timer = time.AfterFunc(c.limits.tick, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if s.err != nil || c.session != s {
			return
		}
		c.tick(s, time.Now())
		k.timer.Reset(c.limits.tick)
	})
}

func (k *keepalive) stop() { k.timer.Stop() }

// tick looks whether the peer is alive as far as we depend on it. With c.mu.
func (c *Client) tick(s *session, now time.Time) {
	k, l := &s.watch, &c.limits
	var queue sockq.State
	if !s.ready || s.draining || !k.heard && c.sent > 0 { // in doubt
		var known bool
		if queue, known = sockq.Of(s.nc); known && k.sent.Moved(queue) {
			k.moved = true
		}
	}
	if k.heard {
		k.lastHeard, k.lastPing, k.asked = now, time.Time{}, time.Time{}
	}
	if k.asked.IsZero() && !k.lastPing.IsZero() && len(s.control) == 0 && queue.Unacked == 0 {
		k.asked = now
	}
	// What arrives there after a PING did proves the peer's kernel alive, not the
	// peer; our further PINGs would prove it for ever.
	if k.heard || k.moved && k.asked.IsZero() {
		k.lastMoved = now
	}
	if queue.Unacked > 0 && !s.ready {
		k.arriving = now
	}
	if !s.ready && now.Sub(k.arriving) >= c.welcomeWait() {
		c.withoutWelcome(s)
	}
	if s.draining {
		if k.draining.IsZero() || k.settled || k.moved {
			k.draining = now
		}
		if now.Sub(k.draining) >= l.drainWait {
			c.fail(s, errDrainTimeout)
		}
	}
	k.heard, k.moved, k.settled = false, false, false
	if c.sent == 0 && s.ready {
		return
	}
	if now.Sub(k.lastMoved) >= l.silence || !k.asked.IsZero() && now.Sub(k.asked) >= l.silence-l.pingAfter {
		if queue.Unacked > 0 {
			c.fail(s, errStuck)
		} else {
			c.fail(s, errSilence)
		}
		return
	}
	if c.sent > 0 && now.Sub(k.lastHeard) >= l.pingAfter && now.Sub(k.lastPing) >= l.pingAfter {
		k.lastPing = now
		s.control = protocol.AppendPing(s.control, uint64(now.UnixNano()))
		c.wake()
	}
}

// welcomeWait is how long a receiver that has our HELLO may take to answer it. One
// that is known to compress only has to be alive, because without its word
// nothing can be sent to it. With c.mu.
func (c *Client) welcomeWait() time.Duration {
	if c.compressing {
		return c.limits.silence
	}
	return c.limits.welcomeWait
}

// withoutWelcome starts on the first credit: the receiver may be one that does
// not know HELLO. It cannot be given compressed frames. With c.mu.
func (c *Client) withoutWelcome(s *session) {
	if c.compressing {
		c.fail(s, errCompression)
		return
	}
	s.ready = true
	if !c.decided {
		c.decide()
	}
	c.wake()
}

// drain stops new frames on this connection. With c.mu.
func (s *session) drain() { s.draining = true }
