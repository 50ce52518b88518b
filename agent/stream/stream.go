// Package stream ships newline-delimited text that comes from a pipe or a
// socket.
//
// Its guarantee is smaller than a file's, and this is all of it: what was read
// is shipped like a file's lines, and sent again until it is delivered, as long
// as this process lives. Bytes that were read and not yet delivered when the
// process is killed are lost, because nobody can be asked for them again; so are
// bytes that lie in the kernel's buffer of a socket. While the distributor takes
// nothing, nothing is read, so that the writer waits.
package stream

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/agent/checkpoint"
	"sluice/agent/lines"
	"sluice/agent/ship"
	"sluice/agent/tail"
	"sluice/client"
)

// Config of Streams.
type Config struct {
	Batch    int
	Linger   time.Duration
	Hold     time.Duration
	Splitter *lines.Splitter
	Limit    *tail.Limiter
	Pairs    []ship.Pair
	Shipper  *ship.Shipper
	Log      *slog.Logger
}

// maxConnections bounds the connections of all sockets. Each holds up to 32 KiB
// and a packet.
const maxConnections = 256

// Streams are the inputs of an agent that are no files. Safe for concurrent use.
type Streams struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	slots  chan struct{}
	ending chan struct{} // closed by Stop
	once   sync.Once

	mu        sync.Mutex
	open      map[*source]io.Closer
	listeners []net.Listener

	read, delivered, lost atomic.Int64
}

// Stat is how much was read of all streams, in bytes.
type Stat struct {
	Open      int   `json:"open"`
	Read      int64 `json:"read_bytes"`
	Delivered int64 `json:"acked_bytes"`
	Lost      int64 `json:"lost_bytes"` // refused by the receiver, or unanswered at the end
}

// New returns Streams without an input.
func New(cfg Config) *Streams {
	s := &Streams{cfg: cfg, open: map[*source]io.Closer{}, slots: make(chan struct{}, maxConnections), ending: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// source is one stream. Owned by its goroutine, but for Settled.
type source struct {
	s      *Streams
	origin *ship.Origin
	told   atomic.Bool // that something was refused
}

// Settled implements ship.Owner. There is no offset to move.
func (c *source) Settled(p *ship.Packet, o client.Outcome) (checkpoint.Ack, bool) {
	n := p.End - p.Start
	if o.Delivered {
		c.s.delivered.Add(n)
	} else {
		c.s.lost.Add(n)
		if o.Code != 0 && !c.told.Swap(true) {
			c.s.cfg.Log.Warn("input: a packet is refused and lost; further ones are only counted", "input", c.origin.Name, "error", o.Code.String(), "raw_bytes", n)
		}
	}
	return checkpoint.Ack{}, false
}

// Read ships what in gives until its end, or until Stop. It returns at once.
// done, if given, is called when everything was handed to the shipper.
func (s *Streams) Read(in io.ReadCloser, name string, done func(error)) {
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	id := name + "-" + hex.EncodeToString(nonce[:])
	c := &source{s: s, origin: ship.NewOrigin(id, name, append([]ship.Pair{{Key: "path", Value: name}}, s.cfg.Pairs...)...)}
	s.mu.Lock()
	s.open[c] = in
	s.mu.Unlock()
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		err := c.run(in)
		in.Close()
		s.mu.Lock()
		delete(s.open, c)
		s.mu.Unlock()
		if err != nil && s.ctx.Err() == nil {
			s.cfg.Log.Warn("input ended", "input", name, "error", err)
		}
		if done != nil {
			done(err)
		}
	}()
}

// chunk is what the reading side hands over.
type chunk struct {
	b   []byte
	err error
}

// run reads and ships. Reading has a goroutine of its own, because a read from
// a pipe has no time limit and a packet that lingers has.
func (c *source) run(in io.Reader) error {
	chunks, free, quit := make(chan chunk), make(chan []byte, 1), make(chan struct{})
	defer close(quit)
	free <- make([]byte, 32<<10)
	go func() {
		for {
			var buf []byte
			select {
			case buf = <-free:
			case <-quit:
				return
			}
			n, err := in.Read(buf)
			select {
			case chunks <- chunk{buf[:n], err}:
			case <-quit:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	p := pending{c: c}
	defer func() { c.s.lost.Add(int64(len(p.buf))) }() // nothing, but after Stop gave up
	linger, quiet := alarm{t: time.NewTimer(time.Hour)}, time.NewTimer(time.Hour)
	defer linger.t.Stop()
	defer quiet.Stop()
	ending := c.s.ending
	for {
		select {
		case <-c.s.ctx.Done():
			return c.s.ctx.Err()
		case got := <-chunks:
			c.s.read.Add(int64(len(got.b)))
			for b := got.b; len(b) > 0; {
				n, err := p.add(b)
				if err != nil {
					return err
				}
				b = b[n:]
			}
			if got.err != nil {
				err := p.ship(lines.All)
				if got.err == io.EOF || errors.Is(got.err, net.ErrClosed) || errors.Is(got.err, os.ErrClosed) {
					return err
				}
				return errors.Join(got.err, err)
			}
			free <- got.b[:cap(got.b)]
			linger.by(c.s.cfg.Linger)
		case <-ending:
			ending = nil
			quiet.Reset(lastWord)
		case <-quiet.C:
			return p.ship(lines.All)
		case <-linger.t.C:
			linger.set = false
			flush := lines.Hold
			if c.s.cfg.Splitter.First != nil && time.Since(p.grew) >= c.s.cfg.Hold {
				flush = lines.Lines
			} else if len(p.buf) > 0 {
				linger.by(max(c.s.cfg.Hold, c.s.cfg.Linger))
			}
			if err := p.ship(flush); err != nil {
				return err
			}
		}
	}
}

// lastWord is how long Stop waits for a read to end after its input was closed. A
// read from a pipe that is standard input does not end with that: it ends with
// the process.
const lastWord = 100 * time.Millisecond

// alarm is a timer that is set only to an earlier time: lines that keep coming
// must not put off the packet that the first of them waits for.
type alarm struct {
	t   *time.Timer
	set bool
	at  time.Time
}

func (a *alarm) by(d time.Duration) {
	at := time.Now().Add(d)
	if a.set && !at.Before(a.at) {
		return
	}
	a.set, a.at = true, at
	a.t.Reset(d)
}

// pending is what was read and not yet shipped. Its bytes are its own, and a raw
// buffer is taken for a packet only: connections that each held one while half
// a line waits would leave none for anybody.
type pending struct {
	c    *source
	buf  []byte // at most Batch; grows with what comes
	at   int64
	mid  bool
	grew time.Time
}

// add takes as much of b as fits, and ships what is full.
func (p *pending) add(b []byte) (int, error) {
	p.grew = time.Now()
	full := min(p.c.s.cfg.Batch, p.c.s.cfg.Shipper.Batch())
	if len(p.buf) >= full { // of one record that is longer than packets are to be
		full = p.c.s.cfg.Batch
	}
	n := min(len(b), full-len(p.buf))
	p.buf = append(p.buf, b[:n]...)
	if len(p.buf) < full {
		return n, nil
	}
	return n, p.ship(lines.Hold)
}

// ship ships what makes packets, and keeps the rest.
func (p *pending) ship(flush lines.Flush) error {
	cfg := &p.c.s.cfg
	for len(p.buf) > 0 {
		end := cfg.Splitter.Cut(p.buf, len(p.buf) == cfg.Batch, flush)
		if end == 0 {
			return nil
		}
		for wait := cfg.Limit.Wait(time.Now()); wait > 0; wait = cfg.Limit.Wait(time.Now()) {
			select {
			case <-p.c.s.ctx.Done():
				return p.c.s.ctx.Err()
			case <-time.After(wait):
			}
		}
		raw, err := cfg.Shipper.WaitBuffer(p.c.s.ctx)
		if err != nil {
			return err
		}
		raw = raw[:copy(raw, p.buf[:end])]
		p.buf = append(p.buf[:0], p.buf[end:]...)
		now := time.Now()
		packet := &ship.Packet{Origin: p.c.origin, Owner: p.c, Start: p.at, End: p.at + int64(end), Raw: raw,
			Mid: p.mid, Before: now, Read: now}
		p.at, p.mid = packet.End, raw[end-1] != '\n'
		cfg.Limit.Take(end)
		cfg.Shipper.Ship(packet)
	}
	return nil
}

// Listen serves "tcp://host:port" or "unix:///path": each connection is a
// stream. It returns the bound address.
func (s *Streams) Listen(address string) (net.Addr, error) {
	network, where, ok := strings.Cut(address, "://")
	if !ok || network != "tcp" && network != "unix" {
		return nil, fmt.Errorf("%q: want tcp://HOST:PORT or unix:///PATH", address)
	}
	if network == "unix" {
		removeStale(where)
	}
	ln, err := net.Listen(network, where)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, ln)
	s.mu.Unlock()
	s.wg.Add(1)
	go s.accept(ln, network)
	return ln.Addr(), nil
}

// removeStale removes a socket that nobody listens on any more.
func removeStale(path string) {
	if st, err := os.Stat(path); err != nil || st.Mode()&os.ModeSocket == 0 {
		return
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return
	}
	os.Remove(path)
}

func (s *Streams) accept(ln net.Listener, network string) {
	defer s.wg.Done()
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		nc, err := ln.Accept()
		if err != nil {
			<-s.slots
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // no descriptors: the next may be luckier
			case <-time.After(100 * time.Millisecond):
			case <-s.ctx.Done():
			}
			continue
		}
		name := network
		if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
			name += ":" + a.IP.String()
		}
		s.Read(nc, name, func(error) { <-s.slots })
	}
}

// Stat tells how much was read.
func (s *Streams) Stat() Stat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stat{len(s.open), s.read.Load(), s.delivered.Load(), s.lost.Load()}
}

// Stop ends accepting and reading. What was read is shipped, unless ctx ends
// while it waits for room.
func (s *Streams) Stop(ctx context.Context) {
	s.mu.Lock()
	for _, ln := range s.listeners {
		ln.Close()
	}
	for _, in := range s.open {
		in.Close()
	}
	s.mu.Unlock()
	s.once.Do(func() { close(s.ending) })
	stop := context.AfterFunc(ctx, s.cancel)
	defer stop()
	s.wg.Wait()
	s.cancel()
}
