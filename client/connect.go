package client

import (
	"errors"
	"fmt"
	"net"
	"time"

	"sluice/internal/dial"
	"sluice/protocol"
)

// ProtocolError says that the receiver broke the protocol.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "protocol error: " + e.Reason }

// GoawayError says that the receiver closed the connection, and why.
type GoawayError struct {
	Code protocol.GoawayCode
	Text string
}

func (e *GoawayError) Error() string {
	return fmt.Sprintf("receiver says goaway: %s %s", e.Code, e.Text)
}

// Why a session ends on our side.
var (
	errDrained      = errors.New("receiver is draining, all answers received")
	errDrainTimeout = errors.New("receiver is draining, and owes answers too long")
	errSilence      = errors.New("receiver is silent and does not answer PING")
	errStuck        = errors.New("nothing that was sent arrives, and nothing comes back")
	errCompression  = errors.New("receiver does not take the compression in use")
)

// run connects, serves and connects again until nothing is left to do.
func (c *Client) run() {
	defer close(c.done)
	defer c.cancel()
	for i := 0; c.needed(i == 0); i++ {
		addr := c.cfg.Addrs[i%len(c.cfg.Addrs)]
		err := c.connectOnce(addr)
		c.mu.Lock()
		over := c.over()
		if !over {
			c.stats.LastError = fmt.Errorf("%s: %w", addr, err)
		}
		delay := c.delay(err)
		c.mu.Unlock()
		if over {
			break
		}
		c.logEnd(addr, err, delay)
		c.sleep(delay)
	}
	c.abandon()
}

// logEnd logs why a connection ended or was not made: each kind of error once,
// until packets were delivered again.
func (c *Client) logEnd(addr string, err error, delay time.Duration) {
	c.mu.Lock()
	delivered := c.stats.Delivered
	c.mu.Unlock()
	if delivered != c.deliveredThen {
		c.deliveredThen = delivered
		c.untold += c.faults.Over()
	}
	news, suppressed := c.faults.IsNews(addr + " " + err.Error())
	if !news {
		return
	}
	args := []any{"addr", addr, "error", err, "retry_in", delay}
	if n := c.untold + suppressed; n > 0 {
		args = append(args, "suppressed", n)
		c.untold = 0
	}
	c.log.Info("connection ended", args...)
}

// needed waits until a connection is needed, and returns false when none will
// be. The first is made without a need, so that it is there when needed; a
// later one is not, so that idle clients leave a restarting server in peace.
func (c *Client) needed(now bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.over() && !now && c.held == 0 && c.waiters == 0 {
		c.idle = true
		c.work.Wait()
		c.idle = false
	}
	return !c.over()
}

// connectOnce dials and serves one connection and returns why it ended.
func (c *Client) connectOnce(addr string) error {
	nc, err := c.dial(addr)
	if err != nil {
		return err
	}
	s := c.newSession(nc)
	c.mu.Lock()
	if c.dead { // Close gave up meanwhile, and saw no session to close
		c.mu.Unlock()
		nc.Close()
		return ErrClosed
	}
	c.session = s
	c.stats.Connects++
	c.mu.Unlock()
	c.log.Debug("connected", "addr", addr)
	err = c.serve(s)
	c.mu.Lock()
	c.session = nil
	c.learn(err)
	c.requeue()
	c.offerRoom()
	c.mu.Unlock()
	return err
}

// dial connects to one address of the configuration.
func (c *Client) dial(addr string) (net.Conn, error) {
	if c.cfg.Dial != nil {
		return c.cfg.Dial(c.ctx, addr)
	}
	if c.smallSegments {
		return c.dialer.Dial(c.ctx, addr, dial.SmallSegments)
	}
	return c.dialer.Dial(c.ctx, addr)
}

// timedOut says whether a connection ended because what we sent did not get
// through in time.
func timedOut(err error) bool {
	var bye *GoawayError
	return errors.Is(err, errStuck) || errors.Is(err, errSilence) ||
		errors.As(err, &bye) && bye.Code == protocol.GoawayIdle
}

// learn adapts to how a connection ended. With c.mu.
func (c *Client) learn(err error) {
	if timedOut(err) {
		c.stats.TimedOut++
	}
	if errors.Is(err, errStuck) {
		c.smallSegments = !c.smallSegments
	}
}

// delay is how long to wait before the next dial: doubling from MinBackoff for
// each connection that brought no packet further. A drained receiver is no
// failure: with another address at hand there is nothing to wait for. With c.mu.
func (c *Client) delay(err error) time.Duration {
	if errors.Is(err, errDrained) && len(c.cfg.Addrs) > 1 {
		return 0
	}
	d := c.cfg.MaxBackoff
	if c.failures < 30 {
		d = min(d, c.cfg.MinBackoff<<c.failures)
	}
	c.failures++
	return jitter(max(d, 0))
}

func (c *Client) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

// abandon gives what is left its outcome, after Close gave up.
func (c *Client) abandon() {
	c.mu.Lock()
	c.closing, c.dead = true, true
	var outs []settled
	for c.queue.insert(0, &c.again); c.queue.n > 0; {
		outs = append(outs, c.refuse(c.queue.pop(), 0, "closed before an answer came"))
	}
	c.room.Broadcast()
	c.mu.Unlock()
	c.deliver(outs)
}
