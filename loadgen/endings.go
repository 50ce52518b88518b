package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"sluice/protocol"
)

// goodbye is a GOAWAY as an error.
type goodbye struct{ code protocol.GoawayCode }

func (g goodbye) Error() string { return "GOAWAY " + g.code.String() }

// ending names an error in few words, so that thousands can be counted.
func ending(err error) string {
	var bye goodbye
	var ne net.Error
	switch {
	case errors.As(err, &bye):
		return bye.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "no descriptor left here"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no local port left here"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return "timeout"
	}
	return err.Error()
}

// lastWords looks for a GOAWAY in what lies unread in a connection that has
// failed. Without one the error that it failed with is the answer.
func lastWords(nc net.Conn, failed error) error {
	const limit = 4 << 20 // bytes of unread answers
	_ = nc.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	frames := protocol.NewFrameReader(io.LimitReader(nc, limit), protocol.MaxControlFrame)
	var ctl protocol.Control
	for {
		body, err := frames.Next()
		if err != nil {
			return failed
		}
		if protocol.IsControl(body[0]) && protocol.ParseControl(body, &ctl) == nil && ctl.Op == protocol.OpGoaway {
			return goodbye{protocol.GoawayCode(ctl.Code)}
		}
	}
}

// abort closes a connection with RST, as a cut does; it also leaves no port in
// TIME_WAIT, of which a storm would soon have used up all.
func abort(nc net.Conn) {
	if tc, ok := nc.(*net.TCPConn); ok {
		_ = tc.SetLinger(0)
	}
	nc.Close()
}

// pauseFor waits, and returns false if ctx ends first.
func pauseFor(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// spread is how a measure lies over many connections. A zero Count says that
// there was nothing to measure.
type spread struct {
	Count uint64  `json:"count"`
	Min   float64 `json:"min"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// newSpread sorts its argument. Quantiles are values that occurred.
func newSpread(v []float64) spread {
	if len(v) == 0 {
		return spread{}
	}
	slices.Sort(v)
	at := func(q float64) float64 { return v[min(len(v)-1, int(q*float64(len(v))))] }
	return spread{Count: uint64(len(v)), Min: v[0], P50: at(0.5), P99: at(0.99), Max: v[len(v)-1]}
}

func (s spread) String() string {
	if s.Count == 0 {
		return "none"
	}
	return fmt.Sprintf("min %s  p50 %s  p99 %s  max %s", figure(s.Min), figure(s.P50), figure(s.P99), figure(s.Max))
}

// figure writes large numbers whole and small ones with three digits.
func figure(v float64) string {
	if v == float64(int64(v)) || v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
