package bench

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"
)

// BenchmarkScrape is GET /metrics over loopback, from the request to the last
// byte: of a distributor that has nothing to do, whose allocations are the
// scrape's and its client's, and of one that four agents keep busy, where a
// scrape waits for the end of a turn on every loop.
func BenchmarkScrape(b *testing.B) {
	for _, load := range []string{"idle", "loaded"} {
		b.Run(load, func(b *testing.B) {
			sys := newSystem(b)
			t := newTemplate(b, body(b, small))
			all := make([]*agent, agents)
			for i := range all {
				all[i] = newAgent(b, sys.distributor.Addr().String(), t)
			}
			sys.send(b, all, agents*warmUp)
			var done atomic.Bool
			var sending sync.WaitGroup
			if load == "loaded" {
				sending.Go(func() {
					for !done.Load() {
						sys.send(b, all, 100*batch)
					}
				})
			}
			addr := sys.distributor.HTTPAddr().String()
			client := &fasthttp.HostClient{Addr: addr}
			b.Cleanup(client.CloseIdleConnections)
			req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(resp)
			req.SetRequestURI("http://" + addr + "/metrics")
			b.ReportAllocs()
			for b.Loop() {
				if err := client.Do(req, resp); err != nil || resp.StatusCode() != fasthttp.StatusOK ||
					!bytes.Contains(resp.Body(), []byte("\nsluice_unaccounted_packets 0\n")) {
					b.Fatalf("%v, status %d: %.200s", err, resp.StatusCode(), resp.Body())
				}
			}
			b.SetBytes(int64(len(resp.Body())))
			done.Store(true)
			sending.Wait()
			for _, a := range all {
				a.finish(b)
			}
			sys.check(b)
		})
	}
}
