package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"sluice/protocol"
)

const (
	httpTimeout = 30 * time.Second

	// A 503 without Retry-After, or a connection that failed, is tried again
	// after firstRetry, doubling up to lastRetry.
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// httpConn posts one packet after the other. A 202 counts as delivered: it says
// that the distributor holds the packet, not that an analyzer has it.
type httpConn struct {
	id     int
	plan   *plan
	bodies *bodies
	sample *sampler
	http   *fasthttp.HostClient
	encode func([]byte) []byte // compresses; nil: plain
	header string              // Content-Encoding
	sent   uint64

	n         struct{ delivered, failed, messages, bytes, busy, resends, unsettled atomic.Uint64 }
	failures  failures
	mu        sync.Mutex
	lastError error
}

func newHTTPConn(o *options, id int, p *plan, b *bodies) (*httpConn, error) {
	c := &httpConn{id: id, plan: p, bodies: b, sample: newSampler(o, p)}
	c.http = &fasthttp.HostClient{
		Addr: o.Addr[id%len(o.Addr)], MaxConns: 1, Name: "loadgen",
		ReadTimeout: httpTimeout, WriteTimeout: httpTimeout,
		// We resend ourselves, so that resends are counted.
		MaxIdemponentCallAttempts: 1, RetryIfErr: func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
	}
	var err error
	c.encode, err = contentEncoder(b.compress)
	if c.encode != nil {
		c.header = b.compress.String()
	}
	return c, err
}

// contentEncoder returns the function behind a Content-Encoding.
func contentEncoder(x protocol.Compression) (func([]byte) []byte, error) {
	var out bytes.Buffer
	switch x {
	case protocol.Zstd:
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			return nil, err
		}
		return func(p []byte) []byte { return z.EncodeAll(p, nil) }, nil
	case protocol.S2:
		w := s2.NewWriter(&out, s2.WriterConcurrency(1))
		return func(p []byte) []byte {
			out.Reset()
			w.Reset(&out)
			w.Write(p) // into memory, cannot fail
			w.Close()
			return out.Bytes()
		}, nil
	case protocol.Gzip:
		w := gzip.NewWriter(&out)
		return func(p []byte) []byte {
			out.Reset()
			w.Reset(&out)
			w.Write(p)
			w.Close()
			return out.Bytes()
		}, nil
	}
	return nil, nil
}

func (c *httpConn) send(ctx context.Context) error {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI("http://" + c.http.Addr + "/ingest")
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType("application/json")
	if c.header != "" {
		req.Header.Set(fasthttp.HeaderContentEncoding, c.header)
	}
	var plain []byte
	for ctx.Err() == nil {
		if c.plan.interval > 0 && c.plan.ready(ctx, c.id, c.sent) == 0 {
			break
		}
		tag, n := c.plan.claim(1)
		if n == 0 {
			break
		}
		start := time.Now()
		if c.plan.interval > 0 {
			start = c.plan.due(c.id, c.sent)
		}
		c.sent++
		plain = c.bodies.appendTo(plain[:0], c.id, tag)
		if c.encode != nil {
			req.SetBodyRaw(c.encode(plain))
		} else {
			req.SetBodyRaw(plain)
		}
		c.n.unsettled.Store(1)
		ok := c.post(ctx, req, resp)
		c.n.unsettled.Store(0)
		if !ok {
			c.n.failed.Add(1)
			continue
		}
		c.n.delivered.Add(1)
		c.n.messages.Add(uint64(c.bodies.messages(tag)))
		c.sample.record(time.Since(start))
	}
	return nil
}

// post sends one packet until it has a final answer. When the run ends, the
// request on its way is finished, but nothing is tried again.
func (c *httpConn) post(ctx context.Context, req *fasthttp.Request, resp *fasthttp.Response) bool {
	wait := firstRetry
	for try := 0; ; try++ {
		if try > 0 {
			c.n.resends.Add(1)
		}
		err := c.http.Do(req, resp)
		c.n.bytes.Add(uint64(len(req.Body())))
		status := resp.StatusCode()
		pause := wait
		switch {
		case err != nil:
			c.note(fmt.Errorf("%s: %w", c.http.Addr, err))
		case status == fasthttp.StatusAccepted || status == fasthttp.StatusOK:
			return true
		case status == fasthttp.StatusServiceUnavailable || status == fasthttp.StatusTooManyRequests:
			c.n.busy.Add(1)
			if s, err := strconv.Atoi(string(resp.Header.Peek(fasthttp.HeaderRetryAfter))); err == nil && s > 0 {
				pause = min(time.Duration(s)*time.Second, httpTimeout)
			}
		default:
			c.failures.add("HTTP "+strconv.Itoa(status), string(resp.Body()[:min(len(resp.Body()), 200)]))
			return false
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			c.failures.add("unanswered", "the run ended before it was accepted")
			return false
		}
		wait = min(2*wait, lastRetry)
	}
}

func (c *httpConn) note(err error) {
	c.mu.Lock()
	c.lastError = err
	c.mu.Unlock()
}

func (c *httpConn) drain(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

func (c *httpConn) counts() counts {
	c.mu.Lock()
	err := c.lastError
	c.mu.Unlock()
	return counts{
		delivered: c.n.delivered.Load(), failed: c.n.failed.Load(), messages: c.n.messages.Load(),
		bytes: c.n.bytes.Load(), busy: c.n.busy.Load(), resends: c.n.resends.Load(),
		unsettled: c.n.unsettled.Load(), lastError: err,
	}
}

func (c *httpConn) latency() *sampler { return c.sample }
func (c *httpConn) failed() *failures { return &c.failures }
