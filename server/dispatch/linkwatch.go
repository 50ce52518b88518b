package dispatch

import (
	"fmt"
	"time"

	"sluice/protocol"
)

// watch sends the PING that is due, and gives up a link that is silent, makes no
// progress, or never said WELCOME.
func (l *Link) watch() {
	c := l.core
	quiet := c.now - l.heardAt
	stuck := c.now - max(l.heardAt, l.movedAt)
	switch l.state {
	case linkGreeting:
		if c.now-l.openedAt > c.cfg.Handshake {
			l.giveUp(fmt.Sprintf("no WELCOME within %v", c.cfg.Handshake))
		}
		return
	case linkReady:
	default:
		return
	}
	written := l.flight.Written()
	waited := stuck
	if written == 0 {
		waited = 0
	}
	if l.pingedAt != 0 {
		waited = max(waited, min(stuck, c.now-l.pingedAt))
	}
	progress := max(l.progressAt, l.movedAt)
	switch {
	case waited > c.cfg.Silence:
		l.giveUp(fmt.Sprintf("silent for %v with %d frames in flight", waited.Round(time.Millisecond), written))
	case written > 0 && c.now-progress > c.cfg.AckTimeout:
		l.giveUp(fmt.Sprintf("no acknowledgement for %v with %d frames in flight", (c.now - progress).Round(time.Millisecond), written))
	case l.pingedAt == 0 && (quiet >= l.pingEvery() || written > 0 && quiet >= c.cfg.PingAfter):
		l.control = protocol.AppendPing(l.control, uint64(c.now))
		l.pingedAt = c.now
		l.touch()
	case l.flight.Len() == 0 && c.now-l.progressAt > time.Second:
		l.flight.Close()
	}
	if l.state == linkReady {
		l.judge(waited)
	}
}

// InDoubt says that the link is silent and an answer is due, so that it matters
// whether our own bytes have reached the analyzer.
func (l *Link) InDoubt() bool {
	return l.state == linkReady && (l.flight.Written() > 0 || l.pingedAt != 0) && l.core.now-l.heardAt >= l.core.cfg.PingAfter
}

// Reached tells how many bytes have reached the analyzer's kernel on this
// connection in all, and how many have not. While data are in transit and arrive,
// the link is slow and not stuck: what the analyzer could answer to is still on its
// way, and its silence counts for nothing. That PINGs arrive is no excuse.
func (l *Link) Reached(bytes uint64, inTransit int) {
	moving := l.transit
	l.transit = inTransit > pingBytes
	if (moving || l.transit) && bytes > l.moved {
		l.movedAt = l.core.now
	}
	l.moved = max(l.moved, bytes)
}

// pingBytes is more than a PING or two have; frames of data are larger, or many.
const pingBytes = 64

// pingEvery is the PING interval of a link without traffic.
func (l *Link) pingEvery() time.Duration {
	cfg := &l.core.cfg
	if l.core.table.Weight(l.index) == 0 {
		return min(cfg.HealthCheck, ProbeEvery)
	}
	return cfg.HealthCheck
}

// judge tells when a link becomes suspect, having been silent for waited or
// being late, and when it is well again.
func (l *Link) judge(waited time.Duration) {
	cfg := &l.core.cfg
	silent := waited >= 2*cfg.PingAfter
	if suspect := silent || l.late; suspect == l.suspect {
		return
	}
	l.suspect = !l.suspect
	switch {
	case !l.suspect:
		l.tell(LinkIsWell, "")
	case silent:
		l.tell(LinkIsSuspect, fmt.Sprintf("silent for %v with %d frames in flight", waited.Round(time.Millisecond), l.flight.Written()))
	default:
		l.tell(LinkIsSuspect, fmt.Sprintf("its oldest packet has no answer for over %v", cfg.SpillAfter))
	}
}

// markLate finds the links whose oldest unacknowledged frame is older than
// SpillAfter while another one's is not: they take nothing new, and what they
// have not written moves to others (elastic) or waits (strict).
func (c *Core) markLate() {
	fresh := false
	for _, l := range c.links {
		if l.inTable() && !l.overdue() {
			fresh = true
			break
		}
	}
	for _, l := range c.links {
		late := fresh && l.state == linkReady && l.overdue()
		if late {
			l.spill()
		}
		l.late = late
	}
}

// overdue says that the oldest unanswered frame of a link is older than
// SpillAfter, counted from when it was staged: an analyzer that answers what it
// is handed in time, but is handed too little to keep up, is late as well.
func (l *Link) overdue() bool {
	if l.flight.Written() == 0 || l.flight.Live() == 0 {
		return false
	}
	return l.core.nowMS-l.flight.Oldest() > uint32(l.core.cfg.SpillAfter/time.Millisecond)
}

// spill moves what was not written to a link to the head of the queue, unless
// each frame has to wait for the analyzer that was picked for it.
func (l *Link) spill() {
	if c := l.core; c.cfg.Promises() {
		c.count.Spilled += uint64(l.reclaimUnwritten())
	}
}

// creditAbsence gives the link the time back that this loop was not there.
func (l *Link) creditAbsence(gap time.Duration) {
	now := l.core.now
	l.heardAt = min(l.heardAt+gap, now)
	l.progressAt = min(l.progressAt+gap, now)
	l.openedAt = min(l.openedAt+gap, now)
	l.movedAt = min(l.movedAt+gap, now)
	if l.pingedAt != 0 {
		l.pingedAt = min(l.pingedAt+gap, now)
	}
}
