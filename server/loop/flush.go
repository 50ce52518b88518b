package loop

import (
	"context"
	"runtime"
	"time"

	"sluice/server/dispatch"
)

// flushSoon flushes now, or, when there is more to gather, after the callbacks of
// the next pass over the ready connections.
func (l *Loop) flushSoon(gather bool) {
	if l.deferred {
		return
	}
	if !gather || l.engine.Execute(context.Background(), l.flushTask) != nil {
		l.flush()
		return
	}
	l.deferred = true
}

// yieldEvery is half of what Go's scheduler lets a goroutine run without a look at
// it.
const yieldEvery = 5 * time.Millisecond

// yield lets the scheduler see that the loop goes on. A saturated loop always finds
// something ready, so that it never waits, and gnet never yields. After 10 ms Go's
// monitor takes such a goroutine for one that hogs its processor: it asks it to stop,
// and takes the processor away from each system call that it finds it in, every
// 20 µs.
func (l *Loop) yield(now time.Duration) {
	if now-l.yieldedAt >= yieldEvery {
		l.yieldedAt = now
		runtime.Gosched()
	}
}

// flush writes out what a turn staged: one write per link that got something,
// one per session that has something to hear; closes what is to be closed;
// and lets the core deal with the connections lost on the way. It repeats,
// because each of these can give rise to the others, until nothing is left;
// every round either empties a list or closes a connection.
func (l *Loop) flush() {
	if l.flushing {
		return
	}
	l.flushing = true
	for {
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
			if c, ok := link.Conn.(*conn); ok {
				l.close(c, "given up")
			}
		}
		for i := 0; i < len(l.lost); i++ {
			l.forget(l.lost[i])
		}
		clear(l.lost)
		more := len(l.lost) + len(l.doomed) + len(l.dirtySessions) + len(l.dirtyLinks)
		l.lost = l.lost[:0]
		if more == 0 {
			break
		}
	}
	l.flushing = false
	l.happened = l.core.TakeEvents(l.happened[:0])
	for _, e := range l.happened {
		switch e.Change {
		case dispatch.LinkIsReady:
			l.events.LinkReady(l.index, e.Link.Index())
		case dispatch.LinkIsSuspect:
			l.events.LinkSuspect(l.index, e.Link.Index(), e.Reason)
		case dispatch.LinkIsWell:
			l.events.LinkWell(l.index, e.Link.Index())
		case dispatch.LinkIsDraining:
			l.events.LinkDraining(l.index, e.Link.Index(), e.Reason)
		case dispatch.LinkIsLost:
			l.events.LinkLost(l.index, e.Link.Index(), e.Reason)
		}
	}
}

// forget tells the core that a connection is closed.
func (l *Loop) forget(c *conn) {
	switch {
	case c.session != nil:
		l.core.SessionLost(c.session)
		l.sessions.Add(-1)
		if c.ended != nil {
			c.ended()
		}
	case c.link != nil && c.link.Conn == c:
		l.core.LinkLost(c.link, c.reason)
	}
}

func (l *Loop) writeLink(link *dispatch.Link) {
	c, ok := link.Conn.(*conn)
	if !ok || c.gc == nil {
		return
	}
	if l.full(c) {
		return
	}
	if out := l.core.NextControl(link); len(out) > 0 {
		l.write(c, out)
	}
	for c.gc != nil {
		if l.full(c) {
			return
		}
		out := l.core.NextWrite(link)
		if len(out) == 0 {
			return
		}
		l.write(c, out)
	}
}

func (l *Loop) writeSession(s *dispatch.Session) {
	c, ok := s.Conn.(*conn)
	if !ok || c.gc == nil {
		return
	}
	if l.full(c) {
		l.core.Unread(s)
		if s.Closing() {
			l.linger(c) // a peer that does not read its last words has its time, too
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

// full says that the socket has not taken what was written before. The next
// tick asks again; a link's next ACK does so sooner.
func (l *Loop) full(c *conn) bool {
	if c.gc.OutboundBuffered() == 0 {
		return false
	}
	if !c.blocked {
		c.blocked = true
		l.blocked = append(l.blocked, c)
	}
	return true
}

// write hands bytes to gnet, which writes them at once and keeps only what
// the socket does not take. A failing write closes the connection inside.
func (l *Loop) write(c *conn, out []byte) {
	_, _ = c.gc.Write(out)
	if c.gc != nil && c.gc.OutboundBuffered() > 0 {
		l.full(c)
	}
}
