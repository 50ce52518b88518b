package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"sluice/protocol"
)

const (
	// The pause after a failed connection, doubling, with jitter.
	stormFirstBackoff = 50 * time.Millisecond
	stormLastBackoff  = 2 * time.Second

	// stormRetry is the pause after a busy that names none.
	stormRetry = 50 * time.Millisecond
)

// stormAgent is one of thousands: a goroutine, a socket and a page of buffer.
// The client library is made for rates, and would hold a quarter of a megabyte
// for each. It says HELLO only where a token needs one: who has not said it is
// not PINGed, so it need not read between the rounds. Owned by one goroutine
// at a time.
type stormAgent struct {
	id     int
	o      *options
	bodies *bodies
	nc     net.Conn // nil: not connected
	frames *protocol.FrameReader
	n      uint64 // data frames sent on it
	dials  int
}

// served is how an agent's round went.
type served struct {
	ok       bool
	took     time.Duration // from the planned moment to the ACK
	busy     int           // answers busy or unavailable
	troubles []string      // connections and dials that failed
	refused  string        // why the packet will never be taken
}

// round connects at the planned moment, sends one packet, and tries until it is
// acknowledged, refused for ever, or ctx ends. The connection stays open.
func (a *stormAgent) round(ctx context.Context, due time.Time, number uint64) (s served) {
	pauseFor(ctx, time.Until(due))
	for try := 0; ctx.Err() == nil; try++ {
		err := a.attempt(ctx, number, &s)
		if err == nil {
			s.ok = true
			s.took = time.Since(due)
			return s
		}
		a.cut()
		if s.refused != "" || ctx.Err() != nil {
			return s
		}
		s.troubles = append(s.troubles, ending(err))
		back := min(stormFirstBackoff<<min(try, 16), stormLastBackoff)
		pauseFor(ctx, back/2+rand.N(back/2))
	}
	return s
}

// attempt makes a connection if there is none, and sends the packet on it until
// it is acknowledged.
func (a *stormAgent) attempt(ctx context.Context, number uint64, s *served) error {
	if a.nc == nil {
		d := net.Dialer{Timeout: a.o.ConnectTimeout}
		nc, err := d.DialContext(ctx, "tcp", a.o.Addr[(a.id+a.dials)%len(a.o.Addr)])
		a.dials++
		if err != nil {
			return err
		}
		a.nc, a.n = nc, 0
		a.frames = protocol.NewFrameReader(nc, protocol.MaxControlFrame)
	}
	nc := a.nc
	defer context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })()
	var out []byte
	if a.n == 0 && a.o.Token != "" {
		out = protocol.AppendHello(out, protocol.Hello{Version: protocol.Version, Agent: "loadgen", Token: a.o.Token})
	}
	frame := protocol.AppendFrame(nil, a.bodies.appendTo(nil, a.id, number))
	for out = append(out, frame...); ; out = frame {
		if _, err := nc.Write(out); err != nil {
			return lastWords(nc, err)
		}
		a.n++
		again, err := a.answer(s)
		if err != nil || again == 0 {
			return err
		}
		pauseFor(ctx, again+rand.N(again/2+1))
	}
}

// answer waits for the fate of the last frame. 0 is an ACK; otherwise it is to
// be sent again after that time.
func (a *stormAgent) answer(s *served) (again time.Duration, err error) {
	var ctl protocol.Control
	for {
		body, err := a.frames.Next()
		if err != nil {
			return 0, err
		}
		if !protocol.IsControl(body[0]) {
			return 0, errors.New("a data frame from the receiver")
		}
		if err := protocol.ParseControl(body, &ctl); err != nil {
			return 0, err
		}
		switch {
		case ctl.Op == protocol.OpGoaway:
			return 0, goodbye{protocol.GoawayCode(ctl.Code)}
		case ctl.Op == protocol.OpPing:
			if _, err := a.nc.Write(protocol.AppendPong(nil, ctl.Echo)); err != nil {
				return 0, err
			}
		case ctl.Op == protocol.OpAck && ctl.N >= a.n:
			return 0, nil
		case ctl.Op == protocol.OpNack && ctl.N <= a.n && ctl.N+ctl.Count > a.n:
			switch code := protocol.NackCode(ctl.Code); code {
			case protocol.NackBusy, protocol.NackUnavailable:
				s.busy++
				if ctl.RetryAfter > 0 {
					return ctl.RetryAfter, nil
				}
				return stormRetry, nil
			case protocol.NackDraining:
				return 0, fmt.Errorf("NACK %s", code)
			default:
				s.refused = fmt.Sprintf("NACK %s: %s", code, ctl.Text)
				return 0, errors.New(s.refused)
			}
		}
	}
}

// cut ends the connection as a broken link does.
func (a *stormAgent) cut() {
	if a.nc != nil {
		abort(a.nc)
		a.nc = nil
	}
}
