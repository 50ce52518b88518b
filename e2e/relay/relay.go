// Package relay passes TCP connections on, and delays, slices, throttles, cuts
// and swallows what passes.
package relay

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Way is a direction through a relay.
type Way int

// The two directions: from who connected to who was connected to, and back.
const (
	Up Way = iota
	Down
)

// Mode is what a relay does to the bytes that pass. The zero value lets them
// pass as they are.
type Mode struct {
	Delay time.Duration // adds latency
	Slice bool          // writes pieces of 1 to 64 bytes
	Limit [2]int        // bytes a second, by Way; 0: none
	Hole  [2]bool       // nothing passes, and nobody is told

	// Drop says of each frame whether it is swallowed.
	Drop func(w Way, body []byte) bool
	// Refuse closes new connections with RST.
	Refuse bool
}

// Relay passes TCP connections on, and hurts them. Safe for concurrent use.
type Relay struct {
	Addr   string // where it listens
	target string
	ln     net.Listener

	passed  [2]atomic.Int64 // data frames, by Way
	severed atomic.Int64

	mu      sync.Mutex
	mode    Mode
	changed chan struct{} // closed with each change of mode
	pairs   map[*pair]bool
	refused []time.Time // moments at which a connection was refused
	closed  bool
	done    sync.WaitGroup
}

// pair is one connection through a relay: its two halves.
type pair struct {
	relay *Relay
	ends  [2]net.Conn // Up flows from ends[0] to ends[1]
	cut   [2]atomic.Bool
	gone  chan struct{}
	once  sync.Once
}

// New listens at addr and connects to target.
func New(addr, target string) (*Relay, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	r := &Relay{Addr: addr, target: target, ln: ln, changed: make(chan struct{}), pairs: map[*pair]bool{}}
	r.done.Add(1)
	go r.accept()
	return r, nil
}

// Set changes what the relay does, for open connections too.
func (r *Relay) Set(m Mode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mode = m
	close(r.changed)
	r.changed = make(chan struct{})
}

// Passed returns how many data frames passed in a direction.
func (r *Relay) Passed(w Way) int { return int(r.passed[w].Load()) }

// Cut resets all open connections and returns how many there were.
func (r *Relay) Cut() int {
	open := r.open()
	for _, p := range open {
		p.reset()
	}
	return len(open)
}

// CutInside resets each open connection as soon as a part of a frame has
// passed in the given direction.
func (r *Relay) CutInside(w Way) {
	for _, p := range r.open() {
		p.cut[w].Store(true)
	}
}

// Refused returns when connections were refused.
func (r *Relay) Refused() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.refused...)
}

// Severed counts the connections that CutInside has cut.
func (r *Relay) Severed() int { return int(r.severed.Load()) }

// Close ends the relay and all its connections.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.ln.Close()
	r.Cut()
	r.done.Wait()
}

func (r *Relay) open() []*pair {
	r.mu.Lock()
	defer r.mu.Unlock()
	var open []*pair
	for p := range r.pairs {
		open = append(open, p)
	}
	return open
}

func (r *Relay) now() (Mode, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mode, r.changed
}

func (r *Relay) accept() {
	defer r.done.Done()
	for {
		c, err := r.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors: the scenario will tell
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if m, _ := r.now(); m.Refuse {
			r.mu.Lock()
			r.refused = append(r.refused, time.Now())
			r.mu.Unlock()
			Reset(c)
			continue
		}
		r.done.Add(1)
		go r.join(c)
	}
}

// join connects the other half and passes bytes until either end closes.
func (r *Relay) join(c net.Conn) {
	defer r.done.Done()
	d, err := net.DialTimeout("tcp", r.target, 2*time.Second)
	if err != nil {
		Reset(c)
		return
	}
	p := &pair{relay: r, ends: [2]net.Conn{c, d}, gone: make(chan struct{})}
	r.mu.Lock()
	closed := r.closed
	if !closed {
		r.pairs[p] = true
	}
	r.mu.Unlock()
	if closed {
		p.reset()
		return
	}
	var both sync.WaitGroup
	for _, w := range [2]Way{Up, Down} {
		both.Go(func() { p.pass(w) })
	}
	both.Wait()
	p.end(false)
	r.mu.Lock()
	delete(r.pairs, p)
	r.mu.Unlock()
}

func (p *pair) reset() { p.end(true) }

func (p *pair) end(rst bool) {
	p.once.Do(func() {
		close(p.gone)
		for _, c := range p.ends {
			if rst {
				Reset(c)
			} else {
				c.Close()
			}
		}
	})
}

// Reset closes a connection so that the peer sees RST.
func Reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // of a connection that is gone: nothing to reset
	}
	c.Close()
}

// piece returns how much of n bytes is to be written next.
func (m *Mode) piece(n int) int {
	if m.Slice {
		return min(n, 1+rand.IntN(64))
	}
	return n
}
