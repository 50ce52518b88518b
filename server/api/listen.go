package api

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// listener counts connections, because fasthttp at its own limit closes new
// ones with a text that says nothing of when to come again, health checks
// among them. At its limit a new connection takes the place of the one that has
// kept us waiting longest, for a request or for the rest of one: who says nothing
// keeps nobody out. Where there is none, an eighth more are marked; all others are
// told 503 with Retry-After.
//
// Safe for concurrent use.
type listener struct {
	net.Listener
	limit  int
	log    *slog.Logger
	closed atomic.Bool
	done   chan struct{} // closed by Close

	turnedAway func()        // is told of each connection that is
	spare      chan struct{} // one for each refused connection that lingers

	mu    sync.Mutex
	open  map[*conn]struct{}
	count atomic.Int64 // of open, for those who only want to know how many
}

// lateConnections are those that come on top of the limit.
func lateConnections(limit int) int { return max(leastLate, limit/latePart) }

func newListener(ln net.Listener, limit int, log *slog.Logger, turnedAway func()) *listener {
	return &listener{Listener: ln, limit: limit, log: log, turnedAway: turnedAway,
		done: make(chan struct{}), spare: make(chan struct{}, lateConnections(limit)), open: make(map[*conn]struct{})}
}

// Accept never fails before Close: being out of descriptors passes, and must
// not end the server.
func (l *listener) Accept() (net.Conn, error) {
	for pause := 5 * time.Millisecond; ; {
		raw, err := l.Listener.Accept()
		switch {
		case err == nil:
			if c := l.admit(raw); c != nil {
				return c, nil
			}
			pause = 5 * time.Millisecond
			continue
		case l.closed.Load() || errors.Is(err, net.ErrClosed):
			return nil, io.EOF // what fasthttp takes for an orderly end
		}
		if pause < 10*time.Millisecond { // the first of a series
			l.log.Warn("cannot accept HTTP connections, trying again", "error", err)
		}
		select {
		case <-time.After(pause):
		case <-l.done:
			return nil, io.EOF
		}
		pause = min(2*pause, time.Second)
	}
}

func (l *listener) admit(raw net.Conn) *conn {
	c := &conn{Conn: raw, home: l}
	l.mu.Lock()
	for len(l.open) >= l.limit && l.evict() {
	}
	n := len(l.open)
	if n < l.limit+lateConnections(l.limit) {
		l.open[c] = struct{}{}
		l.count.Add(1)
	}
	l.mu.Unlock()
	if n >= l.limit+lateConnections(l.limit) {
		l.turnedAway()
		l.turnAway(raw)
		return nil
	}
	c.late = n >= l.limit
	return c
}

// evict gives up the connection that has kept us waiting longest; false: none has
// for long. mu is held.
func (l *listener) evict() bool {
	var longest *conn
	since := time.Now().Add(-evictAfter).UnixNano()
	for c := range l.open {
		if at := c.waitsSince.Load(); at > 0 && at < since {
			longest, since = c, at
		}
	}
	if longest == nil {
		return false
	}
	if longest.waitsSince.CompareAndSwap(since, evicted) { // else its request has just come
		l.remove(longest)
		l.turnedAway()
		_ = longest.Conn.SetReadDeadline(time.Unix(1, 0)) // its goroutine says the rest
	}
	return true
}

// evicted stands in conn.waitsSince of a connection that was given up.
const evicted = -1

// leave tells the peer of a connection that was given up to come again later. What
// it has sent meanwhile was not looked at.
func (c *conn) leave() (int, error) {
	lingers := false
	select {
	case c.home.spare <- struct{}{}:
		lingers = true
		defer func() { <-c.home.spare }()
	default: // too many linger already
	}
	if c.Conn.SetDeadline(time.Now().Add(lingerTimeout)) == nil {
		if _, err := io.WriteString(c.Conn, turnedAwayText); err == nil && lingers {
			discard(c.Conn)
		} else if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // one answer is enough
		}
	}
	return 0, io.EOF
}

// remove counts a connection out, once. mu is held.
func (l *listener) remove(c *conn) {
	if _, in := l.open[c]; in {
		delete(l.open, c)
		l.count.Add(-1)
	}
}

const turnedAwayText = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n" +
	"Connection: close\r\nContent-Length: 52\r\n\r\n" + `{"error":"too many connections; come again later"}` + "\r\n"

// turnAway never keeps Accept waiting: a fresh connection takes so few bytes
// at once, and the lingering is for a goroutine, as long as there are few.
func (l *listener) turnAway(raw net.Conn) {
	select {
	case l.spare <- struct{}{}:
		go func() {
			defer func() { <-l.spare }()
			defer raw.Close()
			if raw.SetDeadline(time.Now().Add(lingerTimeout)) == nil {
				if _, err := io.WriteString(raw, turnedAwayText); err == nil {
					discard(raw)
				}
			}
		}()
	default:
		// Too many linger already. The answer fits into the buffer of a fresh
		// socket, so it is written without waiting; that a request which was not
		// read makes the close an RST is for the client to forgive.
		if raw.SetDeadline(time.Now().Add(lingerTimeout)) == nil {
			_, _ = io.WriteString(raw, turnedAwayText)
		}
		raw.Close()
	}
}

// crowded says that connections should not be kept for a next request.
func (l *listener) crowded() bool {
	return l.count.Load() > int64(l.limit*3/4)
}

// Close stops accepting; it may be called twice.
func (l *listener) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	close(l.done)
	return l.Listener.Close()
}

// cut closes every connection that is left.
func (l *listener) cut() {
	l.mu.Lock()
	left := make([]*conn, 0, len(l.open))
	for c := range l.open {
		left = append(left, c)
	}
	l.mu.Unlock()
	for _, c := range left {
		_ = c.Close()
	}
}

// conn is a counted connection. Its Close lingers if the last answer on it was
// a refusal. Safe for concurrent use.
type conn struct {
	net.Conn
	home   *listener
	late   bool
	linger atomic.Bool
	gone   atomic.Bool

	waitsSince atomic.Int64 // since when the peer keeps us waiting, in ns since 1970; 0: it does not; or evicted

	// Deadlines as they were asked for, and as they are set. Of the serving
	// goroutine alone; Close sets its own beneath them.
	readBy, readSet, writeSet time.Time

	brought int // bytes read since the read deadline was asked for, or put off

	senderMu sync.Mutex // Shutdown closes connections that are being served
	sender   Sender     // nil before the first packet
}

// SetReadDeadline notes the deadline for the next Read. fasthttp sets two for each
// request, of which the second rarely meets a read: a timer each is felt.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.readBy, c.brought = t, 0
	return nil
}

func (c *conn) Read(p []byte) (int, error) {
	if c.readBy != c.readSet {
		if err := c.Conn.SetReadDeadline(c.readBy); err != nil {
			return 0, err
		}
		c.readSet = c.readBy
	}
	now := time.Now()
	c.waitsSince.Store(now.UnixNano())
	n, err := c.Conn.Read(p)
	if c.waitsSince.Swap(0) == evicted {
		return c.leave()
	}
	// A limit on progress, not on the whole: a request that keeps arriving is slow,
	// and not late.
	if c.brought += n; c.brought >= int(floorRate*bodyTimeout/time.Second) && !c.readBy.IsZero() {
		if by := now.Add(bodyTimeout); by.After(c.readBy) {
			c.readBy = by
		}
		c.brought = 0
	}
	return n, err
}

// deadlineSlack is how much earlier than asked for a write may end.
const deadlineSlack = writeTimeout / 10

// SetWriteDeadline leaves a deadline that is not much earlier as it is.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if early := t.Sub(c.writeSet); early >= 0 && early < deadlineSlack && !t.IsZero() {
		return nil
	}
	c.writeSet = t
	return c.Conn.SetWriteDeadline(t)
}

func (c *conn) Close() error {
	if c.gone.Swap(true) {
		return nil
	}
	if c.linger.Load() && !c.home.closed.Load() && c.SetDeadline(time.Now().Add(lingerTimeout)) == nil {
		discard(c.Conn)
	}
	err := c.Conn.Close()
	c.senderMu.Lock()
	if c.sender != nil {
		c.sender.Close()
	}
	c.senderMu.Unlock()
	c.home.mu.Lock()
	c.home.remove(c)
	c.home.mu.Unlock()
	return err
}

// discard says that nothing more comes and reads until the peer has said the
// same, or the deadline or lingerBytes are reached.
func discard(raw net.Conn) {
	if half, ok := raw.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, raw, lingerBytes)
	}
}
