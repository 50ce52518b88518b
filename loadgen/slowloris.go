package main

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"sluice/protocol"
)

// slowEvery is the pause between two bytes: short enough that a deadline for
// silence alone never strikes, so that only one for the whole frame does.
const slowEvery = 2 * time.Second

// slowReport is what became of connections that are endlessly slow.
type slowReport struct {
	heading
	SecondsPerByte float64           `json:"seconds_per_byte"`
	Opened         uint64            `json:"opened"`
	SentBytes      uint64            `json:"sent_bytes"`
	ClosedByServer uint64            `json:"closed_by_server"`
	OpenAtEnd      uint64            `json:"open_at_end"`
	LivedSeconds   spread            `json:"lived_seconds"` // of those that the server closed
	Endings        map[string]uint64 `json:"endings,omitempty"`
	DialErrors     map[string]uint64 `json:"dial_errors,omitempty"`
}

// slowRun is a report in the making.
type slowRun struct {
	o      *options
	bodies *bodies
	every  time.Duration

	mu     sync.Mutex
	report *slowReport
	lived  []float64 // seconds
}

// slowloris opens connections and sends packets a byte at a time. It ends when
// the server has closed all of them, or with the time.
func slowloris(ctx context.Context, o *options, b *bodies, every time.Duration) *slowReport {
	r := &slowReport{heading: newHeading(o), SecondsPerByte: every.Seconds(), Endings: map[string]uint64{}, DialErrors: map[string]uint64{}}
	limited, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	run := &slowRun{o: o, bodies: b, every: every, report: r}
	var wg sync.WaitGroup
	for id := range o.Connections {
		wg.Go(func() { run.one(limited, id) })
	}
	wg.Wait()
	r.end(ctx)
	r.LivedSeconds = newSpread(run.lived)
	return r
}

// one is the life of one connection.
func (s *slowRun) one(ctx context.Context, id int) {
	d := net.Dialer{Timeout: s.o.ConnectTimeout}
	nc, err := d.DialContext(ctx, "tcp", s.o.Addr[id%len(s.o.Addr)])
	if err != nil {
		s.mu.Lock()
		s.report.DialErrors[ending(err)]++
		s.mu.Unlock()
		return
	}
	start := time.Now()
	over := make(chan error, 1)
	go func() { over <- untilClosed(nc) }()
	frame := protocol.AppendFrame(nil, s.bodies.appendTo(nil, id, uint64(id)))
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	sent, asked := uint64(0), false
	for n := 0; !asked; n++ {
		if _, err := nc.Write(frame[n%len(frame) : n%len(frame)+1]); err == nil {
			sent++
		} // otherwise the reader will say why
		select {
		case <-tick.C:
		case err = <-over:
			asked = true
		case <-ctx.Done():
			nc.Close()
			<-over
			err, asked = nil, true
		}
	}
	lived := time.Since(start)
	nc.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.report
	r.Opened++
	r.SentBytes += sent
	if err == nil {
		r.OpenAtEnd++
		return
	}
	r.ClosedByServer++
	s.lived = append(s.lived, lived.Seconds())
	r.Endings[ending(err)]++
}

// untilClosed reads to the end of a connection, and says how it ended: by a
// GOAWAY if there was one, whatever came after it.
func untilClosed(nc net.Conn) error {
	frames := protocol.NewFrameReader(nc, protocol.MaxControlFrame)
	var (
		ctl  protocol.Control
		said error
	)
	for {
		body, err := frames.Next()
		if err != nil {
			if said != nil {
				return said
			}
			return err
		}
		if protocol.IsControl(body[0]) && protocol.ParseControl(body, &ctl) == nil && ctl.Op == protocol.OpGoaway {
			said = goodbye{protocol.GoawayCode(ctl.Code)}
		}
	}
}

// good: it did what it was asked to. What the server should have done about it
// is for the reader to judge.
func (r *slowReport) good() bool { return r.Opened == uint64(r.Connections) }

func (r *slowReport) print(w io.Writer) {
	t := table{w}
	io.WriteString(w, plural(uint64(r.Connections), "connection")+", a byte every "+figure(r.SecondsPerByte)+" s, to "+strings.Join(r.Addr, ", ")+"\n")
	if r.Interrupted {
		t.row("interrupted", "before the planned end")
	}
	t.row("elapsed", "%.3f s", r.ElapsedSeconds)
	t.row("opened", "%d, and %s sent", r.Opened, plural(r.SentBytes, "byte"))
	t.row("closed by server", "%d", r.ClosedByServer)
	t.row("open at the end", "%d", r.OpenAtEnd)
	t.row("lived s", "%s (those that the server closed)", r.LivedSeconds)
	t.counted("ended by", r.Endings)
	t.counted("not connected", r.DialErrors)
}
