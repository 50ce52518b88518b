package client

import (
	"io"
	"net"
	"slices"

	"sluice/protocol"
)

// maxPendingControl bounds the PONGs that wait for a peer that asks but does
// not read, in bytes.
const maxPendingControl = 64 << 10

// minUnsent is the least of bytes that may lie ready for a connection before
// Send waits.
const minUnsent = 32 << 10

// session is one connection: its credit, and the numbers of the frames sent on it
// that have no answer. Everything in it belongs to the client's mutex, except that
// nc is written by run's goroutine and read by the reader's.
type session struct {
	nc     net.Conn
	reader chan struct{} // closed when the reader has ended

	window   protocol.SendWindow
	first    uint64 // number of the queue's front: what was sent is frames first … window.Number()
	maxFrame int    // largest body the receiver takes

	control  []byte // frames to go before the next data
	hello    bool   // HELLO was said
	welcomed bool
	ready    bool // data may be sent
	draining bool // nothing new may be sent: GOAWAY 0 or NACK draining
	err      error

	watch keepalive
}

func (c *Client) newSession(nc net.Conn) *session {
	s := &session{
		nc: nc, reader: make(chan struct{}),
		window: protocol.NewSendWindow(), first: 1, maxFrame: protocol.DefaultMaxFrame,
		hello: c.cfg.Hello, ready: !c.cfg.Hello,
	}
	if s.hello {
		s.control = protocol.AppendHello(nil, protocol.Hello{
			Version: protocol.Version, Agent: c.cfg.Agent, Token: c.cfg.Token,
		})
	}
	return s
}

// fail ends the session for a reason; the first one counts. With c.mu.
func (c *Client) fail(s *session, err error) {
	if s.err == nil {
		s.err = err
		s.nc.Close() // also ends a write in progress
	}
	c.wake()
}

// serve runs a session until it has failed, has drained or is not needed any
// more, and returns why. It is the only writer of the connection.
func (c *Client) serve(s *session) error {
	go c.read(s)
	var out batch
	c.mu.Lock()
	s.watch.start(c, s)
	for s.err == nil && !c.over() {
		if s.draining && c.drained(s) {
			s.err = errDrained
			break
		}
		c.take(s, &out)
		out.seal()
		if out.empty() {
			c.idle, c.starved = true, c.unsent > 0 || c.again.n > 0
			c.work.Wait()
			c.idle, c.starved = false, false
			continue
		}
		c.mu.Unlock()
		err := out.writeTo(s.nc)
		c.deliver(out.refused)
		c.mu.Lock()
		for _, p := range out.pieces {
			c.stage.release(p.in, 1)
		}
		out.reset()
		if err != nil {
			c.fail(s, err)
		}
	}
	if s.err == nil {
		s.err = ErrClosed
	}
	err := s.err
	s.watch.stop()
	c.mu.Unlock()
	s.nc.Close()
	<-s.reader
	return err
}

// drained says whether the receiver owes us no answer. With c.mu.
func (c *Client) drained(s *session) bool {
	n, _ := s.window.Unsettled()
	return n == 0
}

// batch is what goes out in one write. Owned by run's goroutine; each piece holds
// a reference to its chunk, so that an answer that comes before the write has
// returned does not free the bytes under it.
type batch struct {
	control []byte
	pieces  []piece
	size    int // bytes of the pieces
	refused []settled
	bufs    [][]byte // control and pieces, for the socket
}

// piece is frames that lie side by side in a chunk.
type piece struct {
	in       *chunk
	off, end uint32
}

func (b *batch) empty() bool { return len(b.bufs)+len(b.refused) == 0 }

func (b *batch) reset() {
	clear(b.pieces)
	clear(b.refused)
	clear(b.bufs)
	b.control, b.pieces, b.refused, b.bufs, b.size = b.control[:0], b.pieces[:0], b.refused[:0], b.bufs[:0], 0
}

// seal ends the collection. With c.mu, because the end of a chunk moves while it is
// written.
func (b *batch) seal() {
	if len(b.control) > 0 {
		b.bufs = append(b.bufs, b.control)
	}
	for _, p := range b.pieces {
		b.bufs = append(b.bufs, p.in.buf[p.off:p.end])
	}
}

func (b *batch) writeTo(w io.Writer) error {
	switch len(b.bufs) {
	case 0:
		return nil
	case 1:
		_, err := w.Write(b.bufs[0])
		return err
	}
	bufs := net.Buffers(b.bufs)
	_, err := bufs.WriteTo(w)
	return err
}

// add puts a frame behind the others. Frames lie in chunks in the order in
// which they were handed in, so that nearly always this makes the last piece
// longer.
func (b *batch) add(e *entry) {
	b.size += int(e.size)
	if k := len(b.pieces); k > 0 {
		if p := &b.pieces[k-1]; p.in == e.chunk && p.end == e.off {
			p.end += e.size
			return
		}
	}
	b.open(e)
}

// open begins a piece with a frame. It is apart so that add can be inlined.
func (b *batch) open(e *entry) {
	e.chunk.refs++
	b.pieces = append(b.pieces, piece{in: e.chunk, off: e.off, end: e.off + e.size})
}

// take collects control frames, and what the credit and our own window allow of
// the frames to be sent again and of the fresh ones, up to a write's worth. With
// c.mu.
func (c *Client) take(s *session, out *batch) {
	if len(s.control) > 0 {
		out.control = append(out.control, s.control...)
		s.control = s.control[:0]
	}
	if !s.ready || s.draining || c.paused() {
		return
	}
	if c.again.n > 0 {
		for i := range c.again.n {
			c.unsent += int(c.again.at(i).size)
		}
		c.queue.insert(c.sent, &c.again)
	}
	if c.sent == 0 {
		s.watch.heard = true // silence begins now at the earliest
	}
	first := c.sent
	frames, bytes := 0, 0 // that may go
	for c.sent < c.queue.n {
		e := c.queue.at(c.sent)
		size := int(e.size)
		if size-protocol.HeaderSize > s.maxFrame {
			c.unsent -= size
			out.refused = append(out.refused, c.refuse(c.queue.remove(c.sent), protocol.NackTooLarge, "larger than the receiver takes"))
			continue
		}
		if c.sent == first {
			inFlight, _ := s.window.Unsettled()
			frames, bytes = s.window.Batch(size, writeSize)
			frames = min(frames, c.window.room(inFlight))
		}
		if c.sent-first == frames || out.size+size > bytes {
			break
		}
		out.add(e)
		if e.sends > 0 {
			c.stats.Resends++
		}
		e.sends++
		c.sent++
	}
	s.window.SentRun(c.sent-first, out.size)
	c.unsent -= out.size
	c.prepare(out.size)
	c.stats.Sent += uint64(c.sent - first)
	c.stats.SentBytes += uint64(out.size)
	if c.full && c.unsent <= c.maxUnsent/2 {
		c.full = false
		c.offerRoom()
	}
}

// prepare sets how much may lie ready while a connection stands: twice what the
// last writes took, so that a whole one is there when Send is woken at half of
// it. How much a write takes depends on the credit, and so on how many others
// the receiver serves. With c.mu.
func (c *Client) prepare(written int) {
	c.maxUnsent = max(2*written, c.maxUnsent-c.maxUnsent/8, minUnsent)
}

// refuse ends a packet without sending it, or after its last answer. With c.mu.
func (c *Client) refuse(e entry, code protocol.NackCode, text string) settled {
	c.stage.release(e.chunk, 1)
	c.stats.Failed++
	c.freed(1)
	return settled{tag: e.tag, failure: &Outcome{Code: code, Text: text, Resends: resends(&e)}}
}

func resends(e *entry) int { return max(0, int(e.sends)-1) }

// accepts says whether the receiver takes what we compress with.
func accepts(w *protocol.Welcome, x protocol.Compression) bool {
	return slices.Contains(w.Compression, x)
}

// requeue makes what was sent and had no answer the first to be sent on the next
// connection. That is another receiver's, or a new beginning: nobody there has
// asked for a pause. With c.mu.
func (c *Client) requeue() {
	c.queue.compact()
	c.sent, c.unsent = 0, 0
	for i := range c.queue.n {
		c.unsent += int(c.queue.at(i).size)
	}
	c.full = c.unsent >= c.maxUnsent
	c.unpause()
	c.window.reconnected()
}
