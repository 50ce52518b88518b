package main

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
)

// emptyHTTPCmd is what POST /ingest is compared with: a fasthttp server that
// reads the request and answers 202, and does nothing else.
type emptyHTTPCmd struct {
	Addr string
}

func (c *emptyHTTPCmd) Run(ctx context.Context) error {
	server := &fasthttp.Server{
		Handler:               func(r *fasthttp.RequestCtx) { r.SetStatusCode(fasthttp.StatusAccepted) },
		ReadTimeout:           time.Minute,
		NoDefaultServerHeader: true,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe(c.Addr) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Shutdown()
	}
}
