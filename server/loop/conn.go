package loop

import (
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"sluice/internal/sockq"
	"sluice/server/pump"
)

// conn is a connection in gnet, as the pump's transport. gc is cleared when gnet
// has closed it, because writing to it afterwards may reach somebody else's
// descriptor. Owned by one loop.
type conn struct {
	loop   *Loop
	gc     gnet.Conn
	piped  *pump.Conn            // nil before it has joined, and for the loop's own connection
	join   func(*conn)           // gives it to the pump
	joined atomic.Bool           // OnOpen was called; the only field that others may read
	opened chan<- gnet.EventLoop // of the loop's own connection
	reason string                // why gnet has closed it
}

// OnOpen is called by gnet when a connection has joined the loop.
func (l *Loop) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	c := gc.Context().(*conn)
	c.gc = gc
	c.joined.Store(true)
	if c.opened != nil {
		c.opened <- gc.EventLoop()
		return nil, gnet.None
	}
	c.join(c)
	if c.gc == nil { // its first write failed, when there was nobody to tell yet
		l.pump.Closed(c.piped, c.reason)
	}
	return nil, gnet.None
}

// OnTraffic is called by gnet with what one read took.
func (l *Loop) OnTraffic(gc gnet.Conn) gnet.Action {
	c := gc.Context().(*conn)
	data, _ := gc.Next(-1)
	if c.piped != nil {
		l.pump.Received(c.piped, data)
	}
	return gnet.None
}

// OnClose is called by gnet, from within a failing write, too.
func (l *Loop) OnClose(gc gnet.Conn, err error) gnet.Action {
	c := gc.Context().(*conn)
	c.gc = nil
	if err != nil {
		c.reason = err.Error()
	}
	if c.piped != nil {
		l.pump.Closed(c.piped, c.reason)
	}
	return gnet.None
}

// Write hands bytes to gnet, which writes them at once and keeps only what the
// socket does not take. A failing write closes the connection inside.
func (c *conn) Write(p []byte) {
	if c.gc != nil {
		_, _ = c.gc.Write(p)
	}
}

// Full says that gnet still holds some of what was written.
func (c *conn) Full() bool { return c.gc != nil && c.gc.OutboundBuffered() > 0 }

// Reached asks the kernel how many bytes the peer's kernel has acknowledged, and
// how many not.
func (c *conn) Reached() (uint64, int, bool) {
	if c.gc == nil {
		return 0, 0, false
	}
	state, known := sockq.OfFD(c.gc.Fd())
	return state.Acked, state.Unacked, known
}

// CloseWrite shuts the write side of the socket; gnet has no word for it.
func (c *conn) CloseWrite() {
	if c.gc != nil {
		_ = unix.Shutdown(c.gc.Fd(), unix.SHUT_WR)
	}
}

// Close closes the connection now; OnClose runs inside.
func (c *conn) Close() {
	if c.gc != nil {
		_ = c.loop.engine.Close(c.gc)
	}
}
