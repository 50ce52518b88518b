package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// sendCmd is the agents of a peer that takes records: connections that write
// as fast as the peer reads. It prints a sent as JSON.
type sendCmd struct {
	Dialect  dialect
	Addr     string
	Agents   int
	Size     int
	Duration time.Duration
}

// sent is what the agents of a run have sent.
type sent struct {
	Records uint64    `json:"records"`
	Started time.Time `json:"started"`
}

// writeSize is how much is written at once. It is what Sluice's client writes,
// too, when it is busy.
const writeSize = 64 << 10

func (c *sendCmd) Run(ctx context.Context) error {
	t, err := newTemplate(c.Dialect, c.Size)
	if err != nil {
		return err
	}
	conns := make([]net.Conn, c.Agents)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", c.Addr); err != nil {
			return err
		}
		defer conns[i].Close()
	}
	all := sent{Started: time.Now()}
	ctx, cancel := context.WithDeadline(ctx, all.Started.Add(c.Duration))
	defer cancel()
	counts, errs := make([]uint64, c.Agents), make([]error, c.Agents)
	var wg sync.WaitGroup
	for i, conn := range conns {
		wg.Go(func() {
			if c.Dialect == nats {
				counts[i], errs[i] = publish(ctx, conn, &t)
			} else {
				counts[i], errs[i] = write(ctx, conn, &t)
			}
		})
	}
	wg.Wait()
	for _, n := range counts {
		all.Records += n
	}
	return errors.Join(append(errs, json.NewEncoder(os.Stdout).Encode(all))...)
}

// write sends records until ctx ends, and returns how many.
func write(ctx context.Context, conn net.Conn, t *template) (n uint64, err error) {
	each := max(1, writeSize/len(t.bytes))
	buf := make([]byte, 0, each*len(t.bytes))
	for ctx.Err() == nil {
		buf = buf[:0]
		for range each {
			buf = t.appendTo(buf, n)
			n++
		}
		if _, err := conn.Write(buf); err != nil {
			return n, err
		}
	}
	return n, nil
}

// publish is write for NATS. It returns when the server has read everything.
func publish(ctx context.Context, conn net.Conn, t *template) (uint64, error) {
	c := newNATSConn(conn)
	if err := c.connect(); err != nil {
		return 0, err
	}
	flushed := make(chan error, 1)
	go func() { flushed <- c.serve(func() {}) }() // answers PINGs, ends with our PONG
	n, err := write(ctx, c, t)
	if err != nil {
		return n, err
	}
	if err := c.ping(); err != nil {
		return n, err
	}
	select {
	case err := <-flushed:
		return n, err
	case <-time.After(startLimit):
		return n, fmt.Errorf("no answer to a PING within %v", startLimit)
	}
}
