package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"sluice/client"
)

// claimSize is how many packets a connection takes from the plan at a time.
const claimSize = 512

// binaryConn sends over one connection of the client library.
type binaryConn struct {
	id     int
	plan   *plan
	bodies *bodies
	sample *sampler
	client *client.Client
	sent   uint64 // packets handed in; the sender's

	messages atomic.Uint64 // delivered, if the bodies differ
	failures failures
}

func newBinaryConn(o *options, id int, p *plan, b *bodies, log *slog.Logger) (*binaryConn, error) {
	c := &binaryConn{id: id, plan: p, bodies: b, sample: newSampler(o, p)}
	addrs := append(append([]string(nil), o.Addr[id%len(o.Addr):]...), o.Addr[:id%len(o.Addr)]...)
	var err error
	c.client, err = client.New(client.Config{
		Addrs: addrs, Hello: o.Hello, Agent: "loadgen", Token: o.Token,
		Compression: b.compress, OnOutcome: c.outcome, Logger: log,
	})
	return c, err
}

// send hands in what it can claim until the plan is done or ctx ends.
func (c *binaryConn) send(ctx context.Context) error {
	for ctx.Err() == nil {
		want := claimSize
		if c.plan.interval > 0 {
			if want = min(want, c.plan.ready(ctx, c.id, c.sent)); want == 0 {
				break
			}
		}
		next, n := c.plan.claim(want)
		if n == 0 {
			break
		}
		for n > 0 {
			k, err := c.client.SendFunc(ctx, n, next, c.appendBody)
			next += uint64(k)
			n -= k
			if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				return nil // the run has ended, not failed
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// appendBody is called when there is room for the packet: without a rate that
// is the moment of its hand-over.
func (c *binaryConn) appendBody(dst []byte, tag uint64) []byte {
	if c.sample.measures(tag) {
		if c.plan.interval > 0 {
			c.sample.begin(tag, c.plan.due(c.id, c.sent))
		} else {
			c.sample.begin(tag, time.Now())
		}
	}
	c.sent++
	return c.bodies.appendTo(dst, c.id, tag)
}

func (c *binaryConn) outcome(tag uint64, o client.Outcome) {
	if c.sample.measures(tag) {
		c.sample.end(tag, o.Delivered)
	}
	switch {
	case o.Delivered:
		if len(c.bodies.list) > 1 { // of a single body, packets are counted already
			c.messages.Add(uint64(c.bodies.messages(tag)))
		}
	case o.Code == 0:
		c.failures.add("unanswered", o.Text)
	default:
		c.failures.add(o.Code.String(), o.Text)
	}
}

func (c *binaryConn) drain(ctx context.Context) error { return c.client.Close(ctx) }

func (c *binaryConn) counts() counts {
	s := c.client.Stats()
	n := counts{
		delivered: s.Delivered, failed: s.Failed, messages: c.messages.Load(),
		bytes: s.SentBytes, busy: s.Busy, resends: s.Resends, unsettled: uint64(s.Unsettled),
	}
	if s.Connects > 1 {
		n.reconnects = s.Connects - 1
	}
	if len(c.bodies.list) == 1 {
		n.messages = s.Delivered * uint64(c.bodies.messages(0))
	}
	n.lastError = s.LastError
	return n
}

func (c *binaryConn) latency() *sampler { return c.sample }
func (c *binaryConn) failed() *failures { return &c.failures }
