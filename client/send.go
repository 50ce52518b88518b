package client

import (
	"context"
	"sync"

	"sluice/protocol"
)

// SendPacket encodes p and hands it in; p is not kept. It blocks while the
// client holds as many packets as it may. With a nil error exactly one outcome
// with this tag follows, otherwise none.
func (c *Client) SendPacket(ctx context.Context, p *protocol.LogPacket, tag uint64) error {
	_, err := c.SendFunc(ctx, 1, tag, func(dst []byte, _ uint64) []byte {
		return protocol.AppendPacket(dst, p)
	})
	return err
}

// SendBody hands in the body of a data frame, plain or compressed. The body is
// copied, and nothing is allocated in steady state. Otherwise as SendPacket.
func (c *Client) SendBody(ctx context.Context, body []byte, tag uint64) error {
	_, compress, err := c.reserve(ctx, 1)
	if err != nil {
		return err
	}
	if compress {
		return c.addCompressed(body, tag)
	}
	return c.add(body, tag)
}

// SendFunc hands in up to n packets in one step, which is what a high rate
// needs: appendBody is called once for each, with the tags first, first+1 …,
// and must append the body of a data frame to dst. It is called under the
// client's lock, so it must be quick and must not use the client.
//
// It blocks until there is room for one packet, and then takes as many as there
// is room for. It returns how many were accepted: each gets exactly one
// outcome. The error is ctx's or [ErrClosed], and then none was accepted.
func (c *Client) SendFunc(ctx context.Context, n int, first uint64, appendBody func(dst []byte, tag uint64) []byte) (int, error) {
	if n < 1 {
		return 0, ctx.Err()
	}
	n, compress, err := c.reserve(ctx, n)
	if err != nil {
		return 0, err
	}
	if compress {
		for i := range n {
			tag := first + uint64(i)
			if err := c.addCompressed(appendBody(nil, tag), tag); err != nil {
				c.unreserve(n - i - 1)
				return i, nilIf(i > 0, err)
			}
		}
		return n, nil
	}
	var refused []settled
	c.mu.Lock()
	if c.dead {
		c.freed(n)
		c.mu.Unlock()
		return 0, ErrClosed
	}
	taken := 0
	for taken < n && (taken == 0 || c.stage.bytes <= c.cfg.MaxBuffer && !c.ahead()) {
		tag := first + uint64(taken)
		refused = c.accept(tag, appendBody(c.stage.begin(), tag), refused)
		taken++
	}
	c.freed(n - taken + len(refused))
	c.wakeForFresh()
	c.mu.Unlock()
	c.deliver(refused)
	return taken, nil
}

// add hands in one body for which a place was reserved.
func (c *Client) add(body []byte, tag uint64) error {
	c.mu.Lock()
	if c.dead {
		c.freed(1)
		c.mu.Unlock()
		return ErrClosed
	}
	refused := c.accept(tag, append(c.stage.begin(), body...), nil)
	c.freed(len(refused))
	c.wakeForFresh()
	c.mu.Unlock()
	c.deliver(refused)
	return nil
}

func (c *Client) unreserve(n int) {
	c.mu.Lock()
	c.freed(n)
	c.mu.Unlock()
}

func nilIf(cond bool, err error) error {
	if cond {
		return nil
	}
	return err
}

// accept queues a new frame, whose body is what the stage's begin has become, or
// refuses one that must never be sent: an empty body cannot be followed in the
// stream, and one that looks like a control frame would not be numbered by the
// receiver. With c.mu.
func (c *Client) accept(tag uint64, body []byte, refused []settled) []settled {
	if code, why := c.judge(body); code != 0 {
		c.stats.Failed++
		return append(refused, settled{tag: tag, failure: &Outcome{Code: code, Text: why}})
	}
	e := c.queue.extend()
	e.chunk, e.off, e.size = c.stage.commit(body)
	e.sends, e.tag = 0, tag
	c.unsent += int(e.size)
	c.full = c.full || c.unsent >= c.maxUnsent
	return refused
}

// judge says why a body must never be sent; code 0: it may be.
func (c *Client) judge(body []byte) (code protocol.NackCode, why string) {
	switch {
	case len(body) == 0:
		return protocol.NackInvalid, "empty body"
	case protocol.IsControl(body[0]):
		return protocol.NackInvalid, "body is a control frame"
	case c.cfg.MaxFrame > 0 && len(body) > c.cfg.MaxFrame:
		return protocol.NackTooLarge, "larger than Config.MaxFrame"
	}
	return 0, ""
}

// reserve waits for room and takes up to n places of it. compress says whether
// the bodies are to be compressed, which is known once somebody welcomed us.
func (c *Client) reserve(ctx context.Context, n int) (taken int, compress bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hasRoom() {
		stop := context.AfterFunc(ctx, func() {
			c.mu.Lock()
			c.room.Broadcast()
			c.mu.Unlock()
		})
		defer stop()
	}
	for {
		if c.closing {
			return 0, false, ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return 0, false, err
		}
		if c.hasRoom() {
			break
		}
		c.waiters++
		c.wake() // without a connection, somebody who waits is a reason to make one
		c.room.Wait()
		c.waiters--
	}
	n = min(n, c.cfg.MaxUnsettled-c.held)
	c.held += n
	return n, c.compressing, nil
}

func (c *Client) hasRoom() bool {
	return c.closing || c.decided && c.held < c.cfg.MaxUnsettled && !c.ahead() &&
		(c.stage.bytes <= c.cfg.MaxBuffer || c.held == 0) // the last chunk is kept, whatever its size
}

// ahead says that there is a connection, and that more lies ready for it than
// its next write takes. To prepare still more would only make packets wait here,
// out of the processor's cache; without a connection it is what bridges the gap.
func (c *Client) ahead() bool { return c.full && c.session != nil }

// offerRoom tells callers of Send that they may go on, if they may. With c.mu.
func (c *Client) offerRoom() {
	if c.waiters > 0 && c.hasRoom() {
		c.room.Broadcast()
	}
}

// packer compresses bodies. Its work is done outside of the client's lock,
// since it takes longer than everything that is done inside.
type packer struct {
	mu          sync.Mutex
	compression protocol.Compression
	compressor  *protocol.Compressor
	out         []byte
}

// addCompressed compresses a plain body and hands it in. A ready-made body that
// is not a map is compressed already, or will be refused.
func (c *Client) addCompressed(body []byte, tag uint64) error {
	if len(body) == 0 || !protocol.IsPlain(body[0]) {
		return c.add(body, tag)
	}
	p := &c.pack
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.compressor == nil {
		p.compressor = protocol.NewCompressor(p.compression)
	}
	p.out = p.compressor.Append(p.out[:0], body)
	return c.add(p.out, tag)
}
