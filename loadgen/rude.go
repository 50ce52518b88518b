package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/protocol"
)

const (
	// rudeWrite is about how many bytes go out in one write.
	rudeWrite = 64 << 10

	// rudePause is between two connections: rude, but no flood of SYNs.
	rudePause = 10 * time.Millisecond

	// rudeBacklog is how far -r lets a sender that was held up catch up.
	rudeBacklog = 100 * time.Millisecond
)

// rudeReport is how far senders came that ignore the credit and read nothing.
// Written is what the kernel here took, which is more than the server has read.
type rudeReport struct {
	heading
	Rate             float64           `json:"planned_packets_per_second,omitempty"`
	Opened           uint64            `json:"opened"`
	ClosedByServer   uint64            `json:"closed_by_server"`
	OpenAtEnd        uint64            `json:"open_at_end"`
	BlockedAtEnd     uint64            `json:"blocked_at_end"` // of them: in a write that the server's full socket held up
	WrittenPackets   uint64            `json:"written_packets"`
	WrittenBytes     uint64            `json:"written_bytes"`
	PacketsPerSecond float64           `json:"packets_per_second"`
	MBPerSecond      float64           `json:"megabytes_per_second"` // 10⁶ bytes
	PacketsEach      spread            `json:"packets_until_closed"` // of each connection that the server closed
	LivedSeconds     spread            `json:"lived_seconds"`        // of the same
	Endings          map[string]uint64 `json:"endings,omitempty"`
	DialErrors       map[string]uint64 `json:"dial_errors,omitempty"`
}

// rudeRun is a report in the making.
type rudeRun struct {
	o      *options
	plan   *plan
	bodies *bodies

	mu      sync.Mutex
	report  *rudeReport
	packets []float64 // of each connection that the server closed
	lived   []float64 // seconds, of the same
}

// rude writes packets over connections that never read, and connects again
// whenever the server has closed one, until the time is over.
func rude(ctx context.Context, o *options, b *bodies) *rudeReport {
	r := &rudeReport{heading: newHeading(o), Rate: o.Rate, Endings: map[string]uint64{}, DialErrors: map[string]uint64{}}
	limited, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	run := &rudeRun{o: o, plan: newPlan(o, b), bodies: b, report: r}
	var wg sync.WaitGroup
	for id := range o.Connections {
		wg.Go(func() { (&rudeSender{rudeRun: run, id: id}).run(limited) })
	}
	wg.Wait()
	r.end(ctx)
	r.PacketsPerSecond = float64(r.WrittenPackets) / r.ElapsedSeconds
	r.MBPerSecond = float64(r.WrittenBytes) / r.ElapsedSeconds / 1e6
	r.PacketsEach, r.LivedSeconds = newSpread(run.packets), newSpread(run.lived)
	return r
}

// rudeSender is one connection after the other.
type rudeSender struct {
	*rudeRun
	id   int
	slot uint64 // of the plan
	next uint64 // number of the next packet
	buf  []byte
	ends []int // of the frames in buf
}

func (s *rudeSender) run(ctx context.Context) {
	for try := s.id; ctx.Err() == nil; try++ {
		d := net.Dialer{Timeout: s.o.ConnectTimeout}
		nc, err := d.DialContext(ctx, "tcp", s.o.Addr[try%len(s.o.Addr)])
		if err != nil {
			if ctx.Err() == nil {
				s.mu.Lock()
				s.report.DialErrors[ending(err)]++
				s.mu.Unlock()
			}
			pauseFor(ctx, 10*rudePause)
			continue
		}
		s.abuse(ctx, nc)
		pauseFor(ctx, rudePause)
	}
}

// abuse writes to one connection until it fails, or the run ends.
func (s *rudeSender) abuse(ctx context.Context, nc net.Conn) {
	defer abort(nc)
	defer context.AfterFunc(ctx, func() { _ = nc.SetWriteDeadline(time.Unix(1, 0)) })()
	var (
		start          = time.Now()
		packets, bytes uint64
		err            error
	)
	for err == nil && s.fill(ctx) {
		var n int
		n, err = nc.Write(s.buf)
		bytes += uint64(n)
		whole, _ := slices.BinarySearch(s.ends, n+1)
		packets += uint64(whole)
	}
	lived := time.Since(start).Seconds()
	closed := err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	if closed {
		err = lastWords(nc, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.report
	r.Opened++
	r.WrittenPackets += packets
	r.WrittenBytes += bytes
	switch {
	case closed:
		r.ClosedByServer++
		r.Endings[ending(err)]++
		s.packets = append(s.packets, float64(packets))
		s.lived = append(s.lived, lived)
	case err != nil:
		r.BlockedAtEnd++
		r.OpenAtEnd++
	default:
		r.OpenAtEnd++
	}
}

// fill makes the next write, of what is due. False means that the run is over.
func (s *rudeSender) fill(ctx context.Context) bool {
	due := rudeWrite // as many as fit
	if s.plan.interval > 0 {
		due = s.plan.ready(ctx, s.id, s.slot)
		if most := 1 + int(float64(rudeBacklog)/s.plan.interval); due > most {
			s.slot += uint64(due - most) // -r is a cap: what was missed longer ago is not made up for
			due = most
		}
	}
	s.buf, s.ends = s.buf[:0], s.ends[:0]
	for ; due > 0 && len(s.buf) < rudeWrite; due-- {
		s.buf = append(s.buf, 0, 0, 0, 0)
		at := len(s.buf)
		s.buf = s.bodies.appendTo(s.buf, s.id, s.next)
		binary.BigEndian.PutUint32(s.buf[at-protocol.HeaderSize:], uint32(len(s.buf)-at))
		s.ends = append(s.ends, len(s.buf))
		s.next++
		s.slot++
	}
	return len(s.buf) > 0 && ctx.Err() == nil
}

// good: it had somebody to be rude to. That the server closes connections is no
// failure of the run.
func (r *rudeReport) good() bool { return r.WrittenPackets > 0 }

func (r *rudeReport) print(w io.Writer) {
	t := table{w}
	io.WriteString(w, plural(uint64(r.Connections), "rude sender")+" to "+strings.Join(r.Addr, ", ")+"\n")
	if r.Interrupted {
		t.row("interrupted", "before the planned end")
	}
	t.row("elapsed", "%.3f s", r.ElapsedSeconds)
	t.row("written", "%s, %.1f MB: %.0f packets/s, %.1f MB/s into the socket", plural(r.WrittenPackets, "packet"),
		float64(r.WrittenBytes)/1e6, r.PacketsPerSecond, r.MBPerSecond)
	t.row("opened", "%s", plural(r.Opened, "connection"))
	t.row("closed by server", "%d", r.ClosedByServer)
	t.row("open at the end", "%d, of them %d in a blocked write", r.OpenAtEnd, r.BlockedAtEnd)
	t.row("packets each", "%s (until the server closed it)", r.PacketsEach)
	t.row("lived s", "%s", r.LivedSeconds)
	t.counted("ended by", r.Endings)
	t.counted("not connected", r.DialErrors)
}
