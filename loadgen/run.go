package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"sluice/internal/dial"
)

// conn is one connection's worth of load, of either protocol.
type conn interface {
	send(ctx context.Context) error  // until the plan is done or ctx ends
	drain(ctx context.Context) error // waits for the last outcomes
	counts() counts                  // safe at any time
	latency() *sampler               // after drain
	failed() *failures
}

// counts are what a connection has done so far.
type counts struct {
	delivered, failed, messages, bytes, busy, resends, reconnects, unsettled uint64
	lastError                                                                error
}

func (c *counts) add(o counts) {
	c.delivered += o.delivered
	c.failed += o.failed
	c.messages += o.messages
	c.bytes += o.bytes
	c.busy += o.busy
	c.resends += o.resends
	c.reconnects += o.reconnects
	c.unsettled += o.unsettled
	if o.lastError != nil {
		c.lastError = o.lastError
	}
}

func sum(conns []conn) (total counts) {
	for _, c := range conns {
		total.add(c.counts())
	}
	return total
}

// failures counts undelivered packets by reason. Its zero value is ready.
type failures struct {
	mu      sync.Mutex
	byCode  map[string]uint64
	example map[string]string
}

func (f *failures) add(code, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byCode == nil {
		f.byCode, f.example = map[string]uint64{}, map[string]string{}
	}
	f.byCode[code]++
	if f.example[code] == "" {
		f.example[code] = text
	}
}

// A StallError ends a run in which no answer arrives any more.
type StallError struct {
	After     time.Duration
	Unsettled uint64
	Last      error // why the last connection ended, or nil
}

func (e *StallError) Error() string {
	s := fmt.Sprintf("no answer for %s, %d packets without one", e.After, e.Unsettled)
	if e.Last != nil {
		s += "; last error: " + e.Last.Error()
	}
	return s
}

func (e *StallError) Unwrap() error { return e.Last }

// reach waits until somebody listens at one of the addresses. The limit is each
// address's own, and of trying again; a slow name lookup does not use it up.
func reach(ctx context.Context, o *options) error {
	timeout := o.ConnectTimeout
	dialer := dial.New(ctx, dial.Limits{Connect: timeout})
	for began, try := time.Now(), 0; ; try++ {
		addr := o.Addr[try%len(o.Addr)]
		nc, err := dialer.Dial(ctx, addr)
		if err == nil {
			return nc.Close()
		}
		if ctx.Err() != nil || try+1 >= len(o.Addr) && time.Since(began) >= timeout {
			return fmt.Errorf("cannot reach %s within %s: %w", addr, timeout, err)
		}
		t := time.NewTimer(100 * time.Millisecond)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// generate runs the load to its end. The result is complete even with an error.
func generate(ctx context.Context, o *options, b *bodies, log *slog.Logger, stderr io.Writer) (*result, error) {
	p := newPlan(o, b)
	conns := make([]conn, 0, o.Connections)
	for id := range o.Connections {
		c, err := newConn(o, id, p, b, log)
		if err != nil {
			return &result{}, err
		}
		conns = append(conns, c)
	}

	// sending ends by the plan, the time, a signal or a stall; the drain after
	// it only by a stall.
	draining, stall := context.WithCancelCause(context.Background())
	defer stall(nil)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(draining, stop)()
	if o.Duration > 0 {
		sending, stop = context.WithDeadline(sending, p.start.Add(o.Duration))
		defer stop()
	}

	watch := startWatch(o, p, conns, stall, stderr)
	var (
		wg   sync.WaitGroup
		errs = make([]error, len(conns))
	)
	for i, c := range conns {
		wg.Go(func() {
			errs[i] = c.send(sending)
			if err := c.drain(draining); err != nil && context.Cause(draining) == nil {
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(p.start)
	watch.stop()
	res := newResult(o, p, conns, elapsed)
	res.Interrupted = ctx.Err() != nil
	return res, errors.Join(append(errs, context.Cause(draining))...)
}

func newConn(o *options, id int, p *plan, b *bodies, log *slog.Logger) (conn, error) {
	if o.Proto == "http" {
		return newHTTPConn(o, id, p, b)
	}
	return newBinaryConn(o, id, p, b, log)
}
