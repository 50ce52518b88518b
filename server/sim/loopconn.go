package sim

import (
	"time"

	"sluice/server/dispatch"
)

// loopConn is a loop's side of a connection. Owned by the world.
type loopConn struct {
	l       *loop
	e       *end
	session *dispatch.Session
	link    *dispatch.Link

	place     int // in loop.conns
	gone      bool
	blocked   bool
	lingering bool
	shut      bool
	discarded int
	deadline  time.Duration
	reason    string

	// Of a link: the packets that were written and have no answer yet, the
	// first of them being number first. It mirrors what the core must hold.
	written deque[packetID]
	first   uint64
	answers answers
	deaf    bool // the core has given it up and hears no more

	deceived bool // its analyzer acknowledges what it has not received

	heardAt    time.Duration // last byte received, or when flight began
	halted     time.Duration // for how long the process had been stopped by then
	progressAt time.Duration // last answer that settled something, or when flight began
}

// readable is a turn.
func (c *loopConn) readable(data []byte) {
	l := c.l
	if c.lingering {
		if c.discarded += len(data); c.discarded > lingerBytes {
			l.close(c, "went on sending after its last words")
		}
		return
	}
	l.beginTurn()
	if c.session != nil {
		if cost := l.d.w.knobs.turnCost; cost > 0 {
			l.d.spend(l.d.w.upTo(cost))
		}
		l.core.Receive(c.session, data)
	} else {
		c.hear(data)
		l.core.ReceiveLink(c.link, data)
	}
	l.flush()
}

func (c *loopConn) writable() {} // a loop asks at its next tick

func (c *loopConn) ended(reason string) {
	c.e.close()
	c.closed(reason)
}

// closed is what server/loop does in OnClose.
func (c *loopConn) closed(reason string) {
	if c.gone {
		return
	}
	c.gone = true
	if c.reason == "" {
		c.reason = reason
	}
	l := c.l
	l.lost = append(l.lost, c)
	if !l.flushing {
		l.beginTurn()
		l.flush()
	}
}

func (l *loop) close(c *loopConn, reason string) {
	if c.gone {
		return
	}
	c.e.close()
	c.closed(reason)
}
