package health

import "time"

// LinkReady tells that a loop's link to an analyzer carries data: its WELCOME
// was read. It is a new link, whatever was known of the one before.
func (m *Monitor) LinkReady(loop, analyzer int) {
	m.hear(loop, analyzer, func(_ *target, l *link, now time.Time) { l.begin(now) })
}

// LinkWell tells of a good check: a link outside the table, or a suspect one,
// has answered a PING, or a suspect one is fresh again.
func (m *Monitor) LinkWell(loop, analyzer int) {
	m.hear(loop, analyzer, func(_ *target, l *link, now time.Time) {
		if l.phase == linkReady {
			l.suspect = false
			l.check(now)
		}
	})
}

// LinkSuspect tells that a loop's link was silent past its PING, or that its
// oldest packet is late.
func (m *Monitor) LinkSuspect(loop, analyzer int, reason string) {
	m.hear(loop, analyzer, func(t *target, l *link, now time.Time) {
		if l.phase == linkReady {
			l.suspect = true
			l.distrust(now)
			t.suspectReason = orElse(reason, "a link is suspect")
		}
	})
}

// LinkDraining tells that the analyzer said GOAWAY on a loop's link. LinkLost
// follows.
func (m *Monitor) LinkDraining(loop, analyzer int, reason string) {
	m.leave(loop, analyzer, linkDraining, orElse(reason, "analyzer drains"))
}

// LinkLost tells that a loop's link to an analyzer carries data no more.
func (m *Monitor) LinkLost(loop, analyzer int, reason string) {
	m.leave(loop, analyzer, linkGone, reason)
}

func (m *Monitor) leave(loop, analyzer int, phase linkPhase, reason string) {
	m.hear(loop, analyzer, func(t *target, l *link, _ time.Time) {
		if t.whole() { // the other loops' losses are consequences, not causes
			t.lossReason = orElse(reason, "a link was lost")
		}
		t.lastError = orElse(reason, t.lastError)
		if phase == linkGone {
			t.failures++
		}
		if phase == linkGone && l.phase == linkGone { // it never carried data
			m.complain(t, t.lastError)
		}
		*l = link{phase: phase}
	})
}

// Failed tells that an analyzer could not be reached. Each kind of error is
// logged once until the analyzer was up in between.
func (m *Monitor) Failed(analyzer int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &m.targets[analyzer]
	t.lastError = err.Error()
	t.failures++
	m.complain(t, t.lastError)
}

// complain logs why an analyzer cannot be used, once for each kind of reason. With
// m.mu.
func (m *Monitor) complain(t *target, why string) {
	if m.silent || t.left {
		return
	}
	news, suppressed := t.dials.IsNews(why)
	if !news {
		return
	}
	args := []any{"analyzer", t.name, "error", why}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	m.log.Warn("analyzer not reachable", args...)
}

// hear makes one change to one link, and lets everything follow from it.
func (m *Monitor) hear(loop, analyzer int, change func(t *target, l *link, now time.Time)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	t := &m.targets[analyzer]
	if t.suspect() { // until now, whatever ends it
		t.suspectAt = now
	}
	change(t, &t.links[loop], now)
	m.settle(now)
}
