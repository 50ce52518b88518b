package client

import (
	"time"

	"sluice/protocol"
)

// timing is how long a session waits for its peer. Tests set it short.
type timing struct {
	tick        time.Duration // how often the rest is looked at
	pingAfter   time.Duration // nothing received while an answer is due
	silence     time.Duration // nothing received, PING or not: the peer is dead
	welcomeWait time.Duration // after HELLO, before data goes on the first credit
	drainWait   time.Duration // after GOAWAY 0, for the last ACK
}

// defaultTiming keeps to the protocol's rule that silence alone is no reason to
// send again: a peer that is merely slow answers the PINGs.
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
	heard        bool // since the last tick
	since        time.Time
	lastHeard    time.Time
	lastPing     time.Time
	drainingFrom time.Time
	timer        *time.Timer
}

func (k *keepalive) start(c *Client, s *session) {
	k.since = time.Now()
	k.lastHeard = k.since
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
	if k.heard {
		k.heard = false
		k.lastHeard = now
	}
	if !s.ready && now.Sub(k.since) >= l.welcomeWait {
		c.withoutWelcome(s)
	}
	if s.draining {
		if k.drainingFrom.IsZero() {
			k.drainingFrom = now
		}
		if now.Sub(k.drainingFrom) >= l.drainWait {
			c.fail(s, errDrainTimeout)
		}
	}
	if c.sent == 0 {
		return
	}
	quiet := now.Sub(k.lastHeard)
	if quiet >= l.silence {
		c.fail(s, errSilence)
		return
	}
	if quiet >= l.pingAfter && now.Sub(k.lastPing) >= l.pingAfter {
		k.lastPing = now
		s.control = protocol.AppendPing(s.control, uint64(now.UnixNano()))
		c.wake()
	}
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
