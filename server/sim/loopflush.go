package sim

import (
	"sluice/server/dispatch"
)

// flush is server/loop's flush, and then the look at what must hold.
func (l *loop) flush() {
	if l.flushing {
		return
	}
	l.flushing = true
	for rounds := 0; ; rounds++ {
		if rounds > 10_000 {
			l.d.w.fail("%s: the core never comes to rest", l.d.name)
		}
		l.dirtyLinks = l.core.TakeDirtyLinks(l.dirtyLinks[:0])
		for _, link := range l.dirtyLinks {
			l.writeLink(link)
		}
		l.dirtySessions = l.core.TakeDirtySessions(l.dirtySessions[:0])
		for _, s := range l.dirtySessions {
			l.writeSession(s)
		}
		l.doomed = l.core.TakeDoomed(l.doomed[:0])
		for _, link := range l.doomed {
			if c, ok := link.Conn.(*loopConn); ok {
				l.close(c, "given up")
			}
		}
		for i := 0; i < len(l.lost); i++ {
			l.forget(l.lost[i])
		}
		more := len(l.lost) + len(l.doomed) + len(l.dirtySessions) + len(l.dirtyLinks)
		clear(l.lost)
		l.lost = l.lost[:0]
		if more == 0 {
			break
		}
	}
	l.flushing = false
	l.happened = l.core.TakeEvents(l.happened[:0])
	for _, e := range l.happened {
		l.d.linkEvent(l, e)
	}
	l.check()
}

func (l *loop) forget(c *loopConn) {
	switch {
	case c.session != nil:
		l.core.SessionLost(c.session)
		l.sessions--
		last := l.conns[len(l.conns)-1]
		l.conns[c.place], last.place = last, c.place
		l.conns = l.conns[:len(l.conns)-1]
	case c.link != nil && c.link.Conn == c:
		c.excuse()
		l.fallen[c.link.Index()] = c
		l.core.LinkLost(c.link, c.reason)
	}
}

func (l *loop) writeLink(link *dispatch.Link) {
	c, ok := link.Conn.(*loopConn)
	if !ok || c.gone || l.full(c) {
		return
	}
	if out := l.core.NextControl(link); len(out) > 0 {
		l.write(c, out)
	}
	for !c.gone {
		if l.full(c) {
			return
		}
		out := l.core.NextWrite(link)
		if len(out) == 0 {
			return
		}
		c.note(out)
		l.write(c, out)
	}
}

func (l *loop) writeSession(s *dispatch.Session) {
	c, ok := s.Conn.(*loopConn)
	if !ok || c.gone {
		return
	}
	if l.full(c) {
		l.core.Unread(s)
		if s.Closing() {
			l.linger(c)
		}
		return
	}
	if out := l.core.NextAnswers(s); len(out) > 0 {
		l.write(c, out)
	}
	if s.Spoken() {
		l.linger(c)
	}
}

func (l *loop) full(c *loopConn) bool {
	if !c.e.full() {
		return false
	}
	if !c.blocked {
		c.blocked = true
		l.blocked = append(l.blocked, c)
	}
	return true
}

// write hands bytes to the connection. Writing to one that is broken closes
// it, from within.
func (l *loop) write(c *loopConn, out []byte) {
	if c.e.reset {
		l.close(c, "broken pipe")
		return
	}
	c.e.write(out)
	l.full(c)
}

func (l *loop) linger(c *loopConn) {
	if c.lingering || c.gone {
		return
	}
	c.lingering = true
	c.deadline = l.d.clock() + lingerFor
	l.lingering = append(l.lingering, c)
	l.shutWrite(c)
}

func (l *loop) shutWrite(c *loopConn) {
	if !c.shut && !c.gone && !c.e.full() && (c.session == nil || c.session.Spoken()) {
		c.shut = true
		c.e.shut()
	}
}

func (l *loop) endLingering() {
	list := l.lingering
	kept := list[:0]
	for _, c := range list {
		l.shutWrite(c)
		switch {
		case c.gone:
		case l.d.clock() >= c.deadline:
			l.close(c, "closed after its last words")
		default:
			kept = append(kept, c)
		}
	}
	clear(list[len(kept):])
	l.lingering = kept
}
