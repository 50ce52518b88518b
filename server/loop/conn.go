package loop

import (
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"sluice/server/dispatch"
)

type connKind uint8

const (
	homeConn connKind = iota // the loop's own
	agentConn
	linkConn
)

// conn is what the loop knows of a connection: gnet's and the core's side of
// it. gc is cleared when gnet has closed it, because writing to it afterwards
// may reach somebody else's descriptor. Owned by one loop.
type conn struct {
	kind     connKind
	gc       gnet.Conn
	session  *dispatch.Session
	link     *dispatch.Link
	analyzer int    // whose link it is to be, before it has joined
	ended    func() // hears that an agent's connection is gone; may be nil

	blocked   bool // in the loop's list of connections with a full socket
	lingering bool // in the list of those that said their last words
	shut      bool // write side is shut
	discarded int  // bytes read while lingering
	deadline  time.Duration
	reason    string
	joined    atomic.Bool // OnOpen was called; the only field that others may read

	opened chan struct{}  // home only
	engine gnet.EventLoop // home only
}

// lingerFor bounds how long a connection that said its last words is kept for
// the peer to read them. Closing it with unread input would send RST, which
// destroys them.
const lingerFor = time.Second

// lingerBytes bounds what is read of it meanwhile: what a sender that heeds its
// credit can have on the way, and no more, for reading costs the others.
const lingerBytes = 8 << 20

// OnOpen is called by gnet when a connection has joined the loop.
func (l *Loop) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	c := gc.Context().(*conn)
	c.gc = gc
	c.joined.Store(true)
	switch c.kind {
	case homeConn:
		c.engine = gc.EventLoop()
		close(c.opened)
		return nil, gnet.None
	case agentConn:
		l.beginTurn()
		c.session = l.core.Open(c)
	case linkConn:
		l.beginTurn()
		c.link = l.core.Links()[c.analyzer]
		l.core.LinkOpened(c.link, c)
	}
	l.all[c] = struct{}{}
	l.flush()
	return nil, gnet.None
}

// OnTraffic is called by gnet with what one read took. It is one turn: all
// frames are walked, then everything that came of them is written.
func (l *Loop) OnTraffic(gc gnet.Conn) gnet.Action {
	c := gc.Context().(*conn)
	data, _ := gc.Next(-1)
	if c.lingering || c.kind == homeConn {
		if c.discarded += len(data); c.discarded > lingerBytes {
			l.close(c, "went on sending after its last words")
		}
		return gnet.None // read to be discarded
	}
	gather := l.gather.turn(l.beginTurn(), c, len(data))
	if c.session != nil {
		l.core.Receive(c.session, data)
	} else {
		l.core.ReceiveLink(c.link, data)
	}
	borrowed(data)
	l.flushSoon(gather)
	return gnet.None
}

// OnClose is called by gnet from within a failing write, too. So it only
// marks and queues; the turn under way, or one of its own, does the rest.
func (l *Loop) OnClose(gc gnet.Conn, err error) gnet.Action {
	c := gc.Context().(*conn)
	c.gc = nil
	if c.kind == homeConn {
		return gnet.None
	}
	if err != nil && c.reason == "" {
		c.reason = err.Error()
	}
	delete(l.all, c)
	l.gather.forget(c)
	l.lost = append(l.lost, c)
	if !l.flushing {
		l.beginTurn()
		l.flush()
	}
	return gnet.None
}

// close closes a connection now; OnClose runs inside.
func (l *Loop) close(c *conn, reason string) {
	if c.gc == nil {
		return
	}
	if c.reason == "" {
		c.reason = reason
	}
	_ = l.engine.Close(c.gc)
}

// linger shuts the write side, so that the last words and the FIN arrive, and
// discards input until the peer's FIN or lingerFor.
func (l *Loop) linger(c *conn) {
	if c.lingering || c.gc == nil {
		return
	}
	c.lingering = true
	c.deadline = l.now() + lingerFor
	l.lingering = append(l.lingering, c)
	l.shutWrite(c)
}

func (l *Loop) shutWrite(c *conn) {
	if !c.shut && c.gc != nil && c.gc.OutboundBuffered() == 0 && (c.session == nil || c.session.Spoken()) {
		c.shut = true
		_ = unix.Shutdown(c.gc.Fd(), unix.SHUT_WR)
	}
}

// endLingering closes the connections whose peers took their time.
func (l *Loop) endLingering() {
	kept := l.lingering[:0]
	for _, c := range l.lingering {
		l.shutWrite(c)
		switch {
		case c.gc == nil:
		case l.now() >= c.deadline:
			l.close(c, "closed after its last words")
		default:
			kept = append(kept, c)
		}
	}
	clear(l.lingering[len(kept):])
	l.lingering = kept
}
