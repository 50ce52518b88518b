package client

import (
	"context"
	"net"
	"sync"
	"time"

	"sluice/protocol"
)

// crowded is a receiver with one service rate and one queue for all of its
// connections, as a distributor is whose analyzers cannot keep up: what the
// queue has no room for is answered busy. It answers once a tick. Everything
// runs on the clock of a synctest bubble.
type crowded struct {
	queueMax int // frames

	// retryAfter is what a busy says when so many frames wait.
	retryAfter func(queued int) time.Duration

	mu      sync.Mutex
	perTick int // frames served
	queue   []waiting
	conns   []*crowdedConn
	served  int
	early   int // frames that came although their sender was asked to wait
	wg      sync.WaitGroup
}

const crowdedTick = time.Millisecond

type waiting struct {
	on *crowdedConn
	n  uint64
}

type crowdedConn struct {
	nc     net.Conn
	n      uint64
	acks   protocol.AckSequence
	nacks  []byte        // to go with the next tick
	after  time.Duration // the longest of their retry_after
	moved  bool          // there is something to answer
	told   time.Time     // when NACKs were last written; they arrive at once
	notYet time.Time     // what is sent after told must not come before
	ended  bool
}

func (r *crowded) setRate(perSecond int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.perTick = perSecond / int(time.Second/crowdedTick)
}

// count returns how many frames were served so far.
func (r *crowded) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.served
}

// dial gives a client the other end of a connection.
func (r *crowded) dial(context.Context, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	c := &crowdedConn{nc: ours}
	r.mu.Lock()
	r.conns = append(r.conns, c)
	r.mu.Unlock()
	r.wg.Go(func() { r.read(c) })
	return theirs, nil
}

func (r *crowded) read(c *crowdedConn) {
	frames := protocol.NewFrameReader(c.nc, protocol.DefaultMaxFrame)
	for {
		_, err := frames.Next()
		r.mu.Lock()
		if err != nil {
			c.ended = true
			r.mu.Unlock()
			c.nc.Close()
			return
		}
		c.n++
		if now := time.Now(); now.After(c.told) && now.Before(c.notYet) {
			r.early++
		}
		if len(r.queue) < r.queueMax {
			r.queue = append(r.queue, waiting{c, c.n})
		} else {
			r.refuse(c)
		}
		r.mu.Unlock()
	}
}

// refuse answers the last frame of a connection. With r.mu.
func (r *crowded) refuse(c *crowdedConn) {
	c.acks.Settle(c.n)
	after := r.retryAfter(len(r.queue)).Truncate(time.Millisecond)
	c.nacks = protocol.AppendNack(c.nacks, c.n, protocol.NackBusy, after, "", 1)
	c.after = max(c.after, after)
	c.moved = true
}

// serve works until stop is closed, and then until all connections have ended.
func (r *crowded) serve(stop <-chan struct{}) {
	tick := time.NewTicker(crowdedTick)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			r.wg.Wait()
			return
		case <-tick.C:
		}
		r.mu.Lock()
		k := min(r.perTick, len(r.queue))
		for _, w := range r.queue[:k] {
			w.on.acks.Settle(w.n)
			w.on.moved = true
		}
		r.queue = append(r.queue[:0], r.queue[k:]...)
		r.served += k
		conns := r.conns
		r.mu.Unlock()
		for _, c := range conns {
			r.answer(c)
		}
	}
}

func (r *crowded) answer(c *crowdedConn) {
	r.mu.Lock()
	if !c.moved || c.ended {
		r.mu.Unlock()
		return
	}
	c.moved = false
	out := c.nacks
	if len(out) > 0 {
		c.told = time.Now()
		c.notYet = c.told.Add(c.after)
	}
	c.nacks, c.after = nil, 0
	out = protocol.AppendAck(out, c.acks.UpTo(), c.acks.Settled()+protocol.FirstCreditFrames, 1<<60)
	r.mu.Unlock()
	_, _ = c.nc.Write(out) // a client that is gone has ended its pipe, too
}

// offer hands in packets at a rate until ctx ends, or as many as there is room
// for.
func offer(ctx context.Context, c *Client, perSecond float64) {
	const every = 20 * time.Millisecond
	start := time.Now()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for sent := uint64(0); ctx.Err() == nil; <-tick.C {
		for due := uint64(time.Since(start).Seconds() * perSecond); sent < due && ctx.Err() == nil; {
			n, err := c.SendFunc(ctx, int(due-sent), sent, func(dst []byte, _ uint64) []byte { return append(dst, 0x80) })
			if err != nil {
				return
			}
			sent += uint64(n)
		}
	}
}
