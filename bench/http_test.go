package bench

import (
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"
)

// BenchmarkHTTP is POST /ingest over loopback, on 4 connections per CPU:
// answered as soon as the distributor holds the packet (202), or as soon as an
// analyzer has acknowledged it (200). server/api does not export its step from
// JSON to msgpack, so that is not measured alone; and the sockets' noise is too
// large to take the difference between json and msgpack for it.
func BenchmarkHTTP(b *testing.B) {
	for _, s := range diagonal {
		for _, c := range []struct {
			name, media, query string
			body               func(*testing.B, shape) []byte
			status             int
		}{
			{"json", "application/json", "", jsonBody, fasthttp.StatusAccepted},
			{"json-wait", "application/json", "?wait=30s", jsonBody, fasthttp.StatusOK},
			{"msgpack", "application/msgpack", "", body, fasthttp.StatusAccepted},
		} {
			b.Run(s.String()+"/"+c.name, func(b *testing.B) {
				sys := newSystem(b)
				t := newTemplate(b, c.body(b, s))
				addr := sys.distributor.HTTPAddr().String()
				p := &poster{http: &fasthttp.HostClient{Addr: addr, MaxConns: 1024}, body: t,
					uri: "http://" + addr + "/ingest" + c.query, media: c.media, status: c.status}
				b.Cleanup(p.http.CloseIdleConnections)
				if p.post(b, func() bool { return p.next.Load() < agents*warmUp }); b.Failed() {
					b.FailNow()
				}
				warm := p.sent.Load()
				b.SetParallelism(4)
				b.SetBytes(int64(len(t.body)))
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) { p.post(b, pb.Next) })
				b.StopTimer()
				sys.sent = warm + uint64(b.N)
				if p.sent.Load() != sys.sent {
					b.Fatalf("%d of %d packets were accepted", p.sent.Load(), sys.sent)
				}
				sys.check(b)
				if got, want := sys.distributor.Stats().ReceivedMessages, sys.sent*uint64(s.messages); got != want {
					b.Fatalf("%d messages arrived, not %d", got, want)
				}
			})
		}
	}
}

// poster sends the packets of a template. Safe for concurrent use.
type poster struct {
	http       *fasthttp.HostClient
	body       *template
	uri, media string
	status     int // that each answer must have
	next, sent atomic.Uint64
}

// post sends packets one after the other for as long as more says so.
func (p *poster) post(b *testing.B, more func() bool) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(p.uri)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType(p.media)
	var buf []byte
	for more() {
		buf = p.body.appendTo(buf[:0], p.next.Add(1))
		req.SetBodyRaw(buf)
		if err := p.http.Do(req, resp); err != nil {
			b.Error(err)
			return
		}
		if resp.StatusCode() != p.status {
			b.Errorf("status %d, not %d: %s", resp.StatusCode(), p.status, resp.Body())
			return
		}
		p.sent.Add(1)
	}
}
