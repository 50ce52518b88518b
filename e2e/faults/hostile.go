package faults

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/e2e/harness"
	"sluice/protocol"
)

// gentle is the load that must not notice what others do.
func gentle() harness.Load { return harness.Load{Clients: 2, Plain: 1, Rate: 1500} }

// many does a thing n times, so many at once, and returns the first error.
func many(n, atOnce int, do func(i int) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	next := atomic.Int64{}
	for range atOnce {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}

// badLengths is A3: lengths that no frame has are answered and end the
// connection; the largest that one may have is believed only as far as bytes
// arrive.
func badLengths(r *harness.Run) {
	s := r.Start(harness.Options{Env: steady()})
	r.Load(gentle())
	r.AwaitAcked(harness.MinAcked)
	addr, p := s.Distributors[0].Addr, s.Distributors[0].Process()
	lengths := []uint32{0, protocol.DefaultMaxFrame + 1, 0x7fffffff, 0xffffffff}
	const connections = 1000
	var worst atomic.Int64
	refused := func(i int) error {
		took, err := refusesLength(addr, lengths[i%len(lengths)])
		for was := worst.Load(); int64(took) > was && !worst.CompareAndSwap(was, int64(took)); was = worst.Load() {
		}
		return err
	}
	// The first thousand connections that a process sees cost it what it keeps
	// for the next: they are not what grows.
	r.Must(many(connections, 20, refused))
	grown, declared := 1<<30, 0
	r.Each(func(int) {
		was := value(r, p.RSS)
		r.Must(many(connections, 20, refused))
		grown = min(grown, value(r, p.RSS)-was)
		was = value(r, p.RSS)
		declared = max(declared, declares(r, addr, protocol.DefaultMaxFrame, connections, func() int { return value(r, p.RSS) - was }))
		r.Fired()
	})
	r.See("%d connections each: too_large, GOAWAY and close within %v (limit 100 ms); memory grew by %s (limit 1 MiB); by %s while %d connections declared the largest frame",
		connections, longest(worst.Load()), mib(grown), mib(declared), connections)
	if limit := 5 * time.Second; time.Duration(worst.Load()) > limit {
		r.Fail("a length that cannot be was answered after %v", time.Duration(worst.Load()))
	}
	if limit := int(span(r, 4<<20, 1<<20)); grown > limit {
		r.Fail("%d connections with bad lengths grew memory by %s each time", connections, mib(grown))
	}
	if declared > 16<<20 {
		r.Fail("memory grew by %s for frames that were only declared", mib(declared))
	}
}

// refusesLength sends a header and expects NACK too_large, GOAWAY, and the end.
func refusesLength(addr string, length uint32) (time.Duration, error) {
	c, err := net.DialTimeout("tcp", addr, harness.Patience)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, length), "0123456789"...)); err != nil {
		return 0, err
	}
	said, err := hears(c)
	took := time.Since(began)
	if err == nil && said != "NACK too_large, GOAWAY protocol_error" {
		err = fmt.Errorf("length %#x: %q", length, said)
	}
	return took, err
}

// hears reads control frames to the end of a connection. That the end is an RST
// is no error: there was something that nobody read.
func hears(c net.Conn) (string, error) {
	frames := protocol.NewFrameReader(c, protocol.MaxControlFrame)
	var said []string
	var ctl protocol.Control
	for {
		body, err := frames.Next()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return "", fmt.Errorf("it was not closed; it said %q", said)
		case err != nil:
			return strings.Join(said, ", "), nil
		}
		if err := protocol.ParseControl(body, &ctl); err != nil {
			return "", err
		}
		switch ctl.Op {
		case protocol.OpNack:
			said = append(said, "NACK "+protocol.NackCode(ctl.Code).String())
		case protocol.OpGoaway:
			said = append(said, "GOAWAY "+protocol.GoawayCode(ctl.Code).String())
		case protocol.OpAck:
		default:
			said = append(said, fmt.Sprintf("opcode %d", ctl.Op))
		}
	}
}

// declares opens connections that announce a frame and send a little of it, and
// returns what grew says while all of them wait.
func declares(r *harness.Run, addr string, length uint32, n int, grew func() int) int {
	before := r.Stats(0).Sessions
	var conns []net.Conn
	for range n {
		c, err := net.Dial("tcp", addr)
		r.Must(err)
		defer c.Close()
		_, err = c.Write(append(binary.BigEndian.AppendUint32(nil, length), 0x83))
		r.Must(err)
		conns = append(conns, c)
	}
	r.Await("they are all open", func() bool { return r.Stats(0).Sessions >= before+uint64(len(conns)) })
	return grew()
}

func value(r *harness.Run, read func() (int, error)) int {
	v, err := read()
	r.Must(err)
	return v
}

// halfFrames is A6: half a frame, and then FIN, RST or nothing more.
func halfFrames(r *harness.Run) {
	s := r.Start(harness.Options{Env: steady()})
	r.Load(gentle())
	addr := s.Distributors[0].Addr
	const each, deadline = 50, 30 * time.Second
	frame := append(binary.BigEndian.AppendUint32(nil, 1000), bytes.Repeat([]byte{0x83}, 500)...)
	half := func() []net.Conn {
		var conns []net.Conn
		for range each {
			c, err := net.Dial("tcp", addr)
			r.Must(err)
			_, err = c.Write(frame)
			r.Must(err)
			conns = append(conns, c)
		}
		return conns
	}
	var freed, silent longest
	r.Each(func(int) {
		for _, rst := range []bool{false, true} {
			was := measure(r)
			conns := half()
			r.Await("they are open", func() bool { return r.Stats(0).Sessions >= was.sessions+each })
			for _, c := range conns {
				if t, ok := c.(*net.TCPConn); ok && rst {
					r.Must(t.SetLinger(0))
				}
				r.Must(c.Close())
			}
			freed.add(r.Await("they are gone", func() bool { return r.Stats(0).Sessions <= was.sessions }))
			awaitBaseline(r, was)
		}
		began := time.Now()
		for _, c := range half() {
			r.Must(c.SetDeadline(began.Add(harness.Patience)))
			said, err := hears(c)
			r.Must(err)
			if said != "GOAWAY idle" {
				r.Fail("after half a frame and silence: %q", said)
			}
			c.Close()
		}
		silent.add(time.Since(began))
		if time.Since(began) < deadline-time.Second {
			r.Fail("a silent connection was closed after %v, before the deadline of %v", time.Since(began), deadline)
		}
		r.Fired()
	})
	r.See("freed within %v after FIN and RST (limit 1 s), within %v in silence (deadline %v)", freed, silent, deadline)
	if freed > longest(span(r, 5*time.Second, time.Second)) || silent > longest(deadline+span(r, 10*time.Second, 2*time.Second)) {
		r.Fail("freed after %v; silent ones after %v", freed, silent)
	}
}

// strangersOnThePort is A7: what is no agent at all connects 500 times a second.
func strangersOnThePort(r *harness.Run) {
	s := r.Start(harness.Options{Env: steady()})
	good := r.Beside(gentle())
	defer good.Stop()
	d := s.Distributors[0]
	const rate, workers = 500, 50
	hello := append([]byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03}, bytes.Repeat([]byte{7}, 500)...)
	kinds := [][]byte{hello, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), nil}
	total, most := 0, 0.0
	r.Each(func(int) {
		lines := strings.Count(d.Process().Written(), "\n")
		over := span(r, 3*time.Second, 20*time.Second)
		began := time.Now()
		n := int(rate * over.Seconds())
		r.Must(many(n, workers, func(i int) error {
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / rate)))
			return strange(d.Addr, kinds[i%len(kinds)])
		}))
		total += n
		a := float64(strings.Count(d.Process().Written(), "\n")-lines) / time.Since(began).Seconds()
		if most = max(most, a); most > 1.5 {
			r.Fail("%.1f log lines a second:\n%s", a, d.Process().Tail(12))
		}
		r.Fired()
	})
	r.See("%d connections; %.2f log lines a second (limit 1)", total, most)
	if n := good.Resends(); n > 0 {
		r.Fail("the good agents lost connections, and sent %d packets again", n)
	}
	if n := good.Busy(); n > 0 {
		r.Fail("the good agents were refused %d times", n)
	}
}

// strange says something and waits a moment for the answer; nil: random bytes.
func strange(addr string, what []byte) error {
	c, err := net.DialTimeout("tcp", addr, harness.Patience)
	if err != nil {
		return err
	}
	defer c.Close()
	if what == nil {
		for range 1 + rand.IntN(64) {
			what = binary.BigEndian.AppendUint64(what, rand.Uint64())
		}
	}
	_, err = c.Write(what)
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // whatever it answers, and if nothing
	_, _ = io.Copy(io.Discard, c)
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// unreadAnswers is A12: agents that send what draws the most answers, a good
// packet and a bad one in turn, and never read one.
func unreadAnswers(r *harness.Run) {
	s := r.Start(harness.Options{Env: steady()})
	good := r.Beside(harness.Mixed())
	defer good.Stop()
	good.Rate(time.Second)
	addr, p := s.Distributors[0].Addr, s.Distributors[0].Process()
	const agents = 50
	grown, least, ended := 0, 1.0, 0
	r.Each(func(int) {
		over := span(r, 3*time.Second, 20*time.Second)
		alone := good.Rate(over)
		was := value(r, p.RSS)
		hungUp := r.Stats(0).HungUp
		curve := r.Watch(50*time.Millisecond, p.RSS)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range agents {
			wg.Go(func() {
				for wrong := alternating(); ; {
					if quit := pour(addr, wrong, stop); quit {
						return
					}
				}
			})
		}
		left := good.Rate(over) / alone
		close(stop)
		wg.Wait()
		curve.Stop()
		grown = max(grown, int(curve.Max())-was)
		if least = min(least, left); left < part(r, holds) {
			r.Fail("the others kept %.0f %% of what they had", 100*left)
		}
		if n := int(r.Stats(0).HungUp - hungUp); n > 0 {
			ended += n
			r.Fired()
		}
	})
	r.See("%d agents: memory grew by %s at most; %d connections closed; the others kept %.0f %%", agents, mib(grown), ended, 100*least)
	if limit := 64 << 20; grown > limit {
		r.Fail("memory grew by %s", mib(grown))
	}
}

// alternating is a write of frames that are refused for two different reasons
// in turn, so that no two answers can be one.
func alternating() []byte {
	var out []byte
	for range 1000 {
		out = protocol.AppendFrame(out, []byte{0x80})            // a map without a packet_id
		out = protocol.AppendFrame(out, []byte{0x81, 0xa1, 'x'}) // a cut map
	}
	return out
}

// pour writes until the connection ends or the time is over.
func pour(addr string, what []byte, stop <-chan struct{}) (quit bool) {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetReadBuffer(4096) // less room for answers that nobody reads
	}
	for {
		select {
		case <-stop:
			return true
		default:
		}
		_ = c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		var full net.Error
		if _, err := c.Write(what); err != nil && !(errors.As(err, &full) && full.Timeout()) {
			time.Sleep(10 * time.Millisecond)
			return false
		}
	}
}
