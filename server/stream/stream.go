// Package stream is a pump's transport over any net.Conn, for connections that an
// event loop cannot read by their descriptor: bytes that are encrypted, or that
// come from memory.
//
// Two goroutines serve a connection. The reader reads into a buffer and hands it
// to the pump's thread, which uses it where it lies and hands it back; until then
// nothing is read, so that a peer that is faster than the loop feels it as TCP
// feels it. The writer takes whole what the pump has written since it looked last,
// and leaves its own empty buffer in exchange.
package stream

import (
	"io"
	"net"
	"sync"
	"sync/atomic"

	"sluice/internal/sockq"
	"sluice/server/pump"
)

const (
	// readBytes is what one read takes at most.
	readBytes = 64 << 10
	// fullBytes that wait for the writer are too many: the pump keeps the rest.
	fullBytes = 64 << 10
	// keepBytes is the largest buffer that the writer keeps.
	keepBytes = 512 << 10
)

// Conn is one connection. The methods of pump.Transport are for the pump's
// thread; the rest is its goroutines'.
type Conn struct {
	net  net.Conn
	pump *pump.Pump
	run  func(func()) error // runs a function on the pump's thread, in order
	to   *pump.Conn         // of the pump's thread

	in       []byte
	n        int           // bytes of in that were read
	handBack chan struct{} // the pump's thread has used them
	deliver  func()        // made once: a closure per read would allocate
	writable func()

	held   atomic.Int64 // bytes that were written and have not left
	wanted atomic.Bool  // the pump was told that it is full
	mu     sync.Mutex
	out    []byte // waits for the writer
	shut   bool   // close the write side after it
	closed bool
	wake   chan struct{} // one slot
	ended  chan struct{} // closed with closed
}

// Group is the connections of one pump that are served by goroutines. Safe for
// concurrent use; the zero value is not ready.
type Group struct {
	pump *pump.Pump
	run  func(func()) error

	mu      sync.Mutex
	conns   map[*Conn]struct{}
	closed  bool
	serving sync.WaitGroup
}

// NewGroup makes an empty group. run runs a function on the pump's thread, in the
// order of the calls; an error means that it never will.
func NewGroup(p *pump.Pump, run func(func()) error) *Group {
	return &Group{pump: p, run: run, conns: make(map[*Conn]struct{})}
}

// Join gives a connection to the pump; join is called on its thread and makes the
// pump's side. On an error the connection is closed.
func (g *Group) Join(c net.Conn, join func(pump.Transport) *pump.Conn) error {
	s := &Conn{net: c, pump: g.pump, run: g.run, in: make([]byte, readBytes), handBack: make(chan struct{}, 1),
		wake: make(chan struct{}, 1), ended: make(chan struct{})}
	s.deliver = func() {
		s.pump.Received(s.to, s.in[:s.n])
		s.handBack <- struct{}{}
	}
	s.writable = func() { s.pump.Writable(s.to) }
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		c.Close()
		return net.ErrClosed
	}
	g.conns[s] = struct{}{}
	g.serving.Add(2)
	g.mu.Unlock()
	joined := make(chan struct{})
	err := g.run(func() {
		s.to = join(s)
		close(joined)
	})
	if err != nil {
		s.end() // both goroutines see it and go
	}
	go func() {
		defer g.serving.Done()
		s.readAll(joined)
	}()
	go func() {
		defer g.serving.Done()
		s.writeAll()
		g.mu.Lock()
		delete(g.conns, s)
		g.mu.Unlock()
	}()
	return err
}

// Close closes all connections and waits for their goroutines. For when the
// pump's thread runs no more.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	for s := range g.conns {
		s.end()
		s.net.Close()
	}
	g.mu.Unlock()
	g.serving.Wait()
}

// readAll gives the pump what comes, until nothing comes any more.
func (s *Conn) readAll(joined <-chan struct{}) {
	select {
	case <-joined:
	case <-s.ended:
		return // before the pump knew of it
	}
	reason := ""
reading:
	for {
		n, err := s.net.Read(s.in)
		if n > 0 {
			s.n = n
			if s.run(s.deliver) != nil {
				break reading
			}
			select {
			case <-s.handBack:
			case <-s.ended: // by the pump, within this turn; or its thread is gone
				break reading
			}
		}
		if err != nil {
			if err != io.EOF {
				reason = err.Error()
			}
			break reading
		}
	}
	_ = s.run(func() { s.pump.Closed(s.to, reason) }) // or nobody is left to hear it
	s.end()
}

// writeAll writes what the pump has written, and closes when that is told.
func (s *Conn) writeAll() {
	defer s.net.Close()
	var buf []byte
	for range s.wake {
		s.mu.Lock()
		buf, s.out = s.out, buf[:0]
		shut, closed := s.shut, s.closed
		s.shut = false
		s.mu.Unlock()
		if closed {
			return
		}
		if len(buf) > 0 {
			if _, err := s.net.Write(buf); err != nil {
				return // the reader hears of it, and tells
			}
			left := s.held.Add(-int64(len(buf)))
			if left < fullBytes && s.wanted.Swap(false) && s.run(s.writable) != nil {
				return
			}
		}
		if cap(buf) > keepBytes {
			buf = nil
		}
		if shut {
			if half, ok := s.net.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
		}
	}
}

func (s *Conn) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// end has the writer close the connection.
func (s *Conn) end() {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if !was {
		close(s.ended)
	}
	s.nudge()
}

// Write leaves bytes for the writer.
func (s *Conn) Write(p []byte) {
	s.held.Add(int64(len(p)))
	s.mu.Lock()
	s.out = append(s.out, p...)
	s.mu.Unlock()
	s.nudge()
}

// Full says that too much waits for the writer; the pump hears when it does not
// any more.
func (s *Conn) Full() bool {
	if s.held.Load() < fullBytes {
		return false
	}
	s.wanted.Store(true)
	if s.held.Load() < fullBytes { // it has left in between, and nobody will say so
		s.wanted.Store(false)
		return false
	}
	return true
}

// Reached asks the kernel how many bytes the peer's kernel has acknowledged, as
// far as the connection lets itself be asked.
func (s *Conn) Reached() (uint64, int, bool) {
	state, known := sockq.Of(s.net)
	return state.Acked, state.Unacked, known
}

// CloseWrite closes the write side after what was written has left.
func (s *Conn) CloseWrite() {
	s.mu.Lock()
	s.shut = true
	s.mu.Unlock()
	s.nudge()
}

// Close closes the connection soon. What was written may be lost.
func (s *Conn) Close() { s.end() }
