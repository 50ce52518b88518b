package receive

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"sluice/protocol"
)

// conn is one connection. The reader (run) and the worker share what is under
// mu; the lock is taken once a read and once a batch, never once a frame. It is
// held while answers are written, so that a NACK is always on the wire before
// the ACK that passes its frame.
type conn struct {
	srv *Server
	nc  net.Conn

	// Owned by the reader.
	in       intake
	started  bool // a frame was seen: HELLO is too late
	cut      bool // a read deadline for the rest of a frame is set
	consumed bool // the last read completed a frame

	mu   sync.Mutex
	wake sync.Cond // the inbox got something, or closing was set

	// What was received and what is settled. All counts since the connection
	// began; bytes are header + body.
	frames, bytes               uint64
	settledFrames, settledBytes uint64

	// What the sender was told: the last ACK, and the credit.
	acked                   uint64
	grantFrames, grantBytes uint64

	inbox   inbox
	free    segments
	working uint64 // number of the frame the worker is at; 0: it has none

	answers answers
	held    []heldAck // ACKs that a delay holds back, oldest first
	timer   *time.Timer

	closing  bool // nothing more will come into the inbox
	draining bool // GOAWAY 0 was sent
	dead     bool // the socket is closed
	workDone chan struct{}
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc, workDone: make(chan struct{}),
		grantFrames: protocol.FirstCreditFrames, grantBytes: protocol.FirstCreditBytes}
	c.in.max = uint32(s.cfg.MaxFrame)
	c.wake.L = &c.mu
	return c
}

// run reads until the connection ends, one way or another, and returns when
// its worker has ended too.
func (c *conn) run() {
	if c.srv.cfg.Discard {
		close(c.workDone)
	} else {
		go c.work(c.srv.cfg.NewSession(c.nc.RemoteAddr()))
	}
	fault := c.read()

	// The worker handles what was admitted; its ACKs still go out.
	c.mu.Lock()
	c.closing = true
	c.wake.Signal()
	if fault != nil {
		c.answers.goaway(fault.code, fault.text)
		c.write()
	}
	c.mu.Unlock()
	<-c.workDone

	c.mu.Lock()
	c.releaseAll()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.lastWords()
	c.kill()
}

// fault is a reason to close a connection that the peer is told.
type fault struct {
	code protocol.GoawayCode
	text string
}

// read is the reader. It returns nil when the peer is gone or has had its time
// to go, and otherwise why the connection must be closed.
func (c *conn) read() *fault {
	var deadline time.Time // of a drain
	for {
		n, err := c.in.fill(c.nc)
		if n > 0 {
			if f := c.take(); f != nil {
				c.srv.log.Warn("closing a connection", "remote", c.nc.RemoteAddr(), "goaway", f.code.String(), "reason", f.text)
				return f
			}
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		draining, idle := c.drainState()
		switch {
		case draining:
			now := time.Now()
			if deadline.IsZero() {
				deadline = now.Add(maxDrain)
			} else if (err != nil && idle) || now.After(deadline) {
				return nil
			}
			c.nc.SetReadDeadline(now.Add(quiet))
		case err != nil:
			return &fault{protocol.GoawayIdle, "a frame was begun and not finished in time"}
		default:
			c.armFrameTimeout()
			if draining, _ := c.drainState(); draining {
				// drain set its deadline before ours: wake up for it again.
				c.nc.SetReadDeadline(time.Now())
			}
		}
	}
}

// armFrameTimeout gives a frame that is cut FrameTimeout from when its first
// byte was seen, however slowly the rest drips in.
func (c *conn) armFrameTimeout() {
	switch partial := c.in.partial(); {
	case partial && (!c.cut || c.consumed):
		c.nc.SetReadDeadline(time.Now().Add(c.srv.cfg.FrameTimeout))
		c.cut = true
	case !partial && c.cut:
		c.nc.SetReadDeadline(time.Time{})
		c.cut = false
	}
}

// drain tells the sender to go and wakes the reader, which sees to the rest.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining || c.closing {
		return
	}
	c.draining = true
	c.releaseAll()
	c.answers.goaway(protocol.GoawayDrain, "shutting down")
	c.write()
	c.nc.SetReadDeadline(time.Now())
}

// drainState says whether the connection is draining, and whether all that was
// received is settled.
func (c *conn) drainState() (draining, idle bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining, c.working == 0 && c.inbox.empty()
}

// kill closes the socket and lets nothing more be handled.
func (c *conn) kill() {
	c.nc.Close() // first, and without the lock: it ends a write that hangs
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	c.wake.Signal()
}

// lastWords shuts the write side and reads on until the peer has closed too, or
// for a short while: closing with unread input would send a reset, and the
// answers that the peer has not read yet would be lost.
func (c *conn) lastWords() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(lastWords))
	io.Copy(io.Discard, onlyReader{c.nc})
}

// onlyReader hides WriteTo, which would look for a way around the deadline.
type onlyReader struct{ io.Reader }
