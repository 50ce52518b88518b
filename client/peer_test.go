package client

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"sluice/protocol"
)

// patience is how long a test waits for what must happen. Nothing is measured
// by it.
const patience = time.Minute

// receiver is a listener whose connections are scripted by the test.
type receiver struct {
	t  *testing.T
	ln net.Listener
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &receiver{t, ln}
}

func (r *receiver) addr() string { return r.ln.Addr().String() }

// accept waits for the client's next connection.
func (r *receiver) accept() *peer {
	r.t.Helper()
	r.ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	nc, err := r.ln.Accept()
	if err != nil {
		r.t.Fatalf("no connection: %v", err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { nc.Close() })
	return &peer{t: r.t, nc: nc, frames: protocol.NewFrameReader(nc, protocol.DefaultMaxFrame)}
}

// peer is the receiver's end of one connection.
type peer struct {
	t      *testing.T
	nc     net.Conn
	frames *protocol.FrameReader
	got    uint64 // data frames received
	bytes  uint64
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatalf("peer writes: %v", err)
	}
}

func (p *peer) next() []byte {
	p.t.Helper()
	b, err := p.frames.Next()
	if err != nil {
		p.t.Fatalf("peer reads: %v", err)
	}
	return b
}

// packets reads n data frames and returns their packet_ids.
func (p *peer) packets(n int) []string {
	p.t.Helper()
	ids := make([]string, 0, n)
	for range n {
		b := p.next()
		if protocol.IsControl(b[0]) {
			p.t.Fatalf("control frame %x, want data", b)
		}
		p.got++
		p.bytes += uint64(protocol.HeaderSize + len(b))
		var s protocol.Scanned
		if err := protocol.NewInspector(0x100000).Scan(b, &s); err != nil {
			p.t.Fatalf("invalid body: %v", err)
		}
		ids = append(ids, string(s.PacketID))
	}
	return ids
}

// control reads one control frame of the opcode.
func (p *peer) control(op protocol.Opcode) protocol.Control {
	p.t.Helper()
	var c protocol.Control
	if err := protocol.ParseControl(p.next(), &c); err != nil {
		p.t.Fatal(err)
	}
	if c.Op != op {
		p.t.Fatalf("opcode %d, want %d", c.Op, op)
	}
	return c
}

// nothingMore proves that the client has nothing to send now: a PONG is the
// next thing that arrives.
func (p *peer) nothingMore() {
	p.t.Helper()
	p.write(protocol.AppendPing(nil, 7))
	p.control(protocol.OpPong)
}

// ack settles up to n with an ample credit.
func (p *peer) ack(n uint64) {
	p.t.Helper()
	p.write(protocol.AppendAck(nil, n, n+4096, p.bytes+4<<20))
}

func (p *peer) nack(n uint64, code protocol.NackCode, text string) {
	p.t.Helper()
	p.write(protocol.AppendNack(nil, n, code, time.Millisecond, text, 1))
}

func (p *peer) welcome(w protocol.Welcome) protocol.Hello {
	p.t.Helper()
	h := p.control(protocol.OpHello).Hello
	w.Frames, w.Bytes, w.MaxFrame = protocol.FirstCreditFrames, protocol.FirstCreditBytes, protocol.DefaultMaxFrame
	p.write(protocol.AppendWelcome(nil, w))
	return h
}

// closed waits for the client to close the connection.
func (p *peer) closed() {
	p.t.Helper()
	for {
		if _, err := p.frames.Next(); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				p.t.Fatal("the client did not close the connection")
			}
			p.nc.Close()
			return
		}
	}
}

// outcomes collects what the client says, and fails on a second outcome.
type outcomes struct {
	t    *testing.T
	mu   sync.Mutex
	cond *sync.Cond
	by   map[uint64]Outcome
}

func newOutcomes(t *testing.T) *outcomes {
	o := &outcomes{t: t, by: map[uint64]Outcome{}}
	o.cond = sync.NewCond(&o.mu)
	return o
}

func (o *outcomes) add(tag uint64, got Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if old, twice := o.by[tag]; twice {
		o.t.Errorf("packet %d has two outcomes: %+v, %+v", tag, old, got)
	}
	o.by[tag] = got
	o.cond.Broadcast()
}

// wait waits for the outcome of a packet.
func (o *outcomes) wait(tag uint64) Outcome {
	o.t.Helper()
	late := time.AfterFunc(patience, o.cond.Broadcast)
	defer late.Stop()
	end := time.Now().Add(patience)
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if got, ok := o.by[tag]; ok {
			return got
		}
		if time.Now().After(end) {
			o.t.Fatalf("packet %d has no outcome", tag)
		}
		o.cond.Wait()
	}
}

func (o *outcomes) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.by)
}

// start makes a client with short waits and an end.
func start(t *testing.T, cfg Config, change func(*timing)) (*Client, *outcomes) {
	t.Helper()
	out := newOutcomes(t)
	cfg.OnOutcome = out.add
	cfg.MinBackoff, cfg.MaxBackoff = time.Millisecond, 20*time.Millisecond
	cfg.DialTimeout = patience
	setDefault(&cfg.MaxUnsettled, DefaultMaxUnsettled)
	setDefault(&cfg.MaxBuffer, DefaultMaxBuffer)
	limits := defaultTiming()
	limits.tick = 5 * time.Millisecond
	limits.welcomeWait = patience
	if change != nil {
		change(&limits)
	}
	c := newClient(cfg, limits)
	go c.run()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		c.Close(ctx)
	})
	return c, out
}

func id(n int) string { return fmt.Sprintf("p-%06d", n) }

func packet(n int) *protocol.LogPacket {
	return &protocol.LogPacket{PacketID: id(n), AgentID: "a", Messages: []protocol.LogMessage{
		{Timestamp: protocol.Timestamp{Time: time.Unix(1, 0)}, Level: protocol.LevelInfo, Source: "s", Message: "m"},
	}}
}

// send hands in packets first … last, with their numbers as tags.
func send(t *testing.T, c *Client, first, last int) {
	t.Helper()
	for n := first; n <= last; n++ {
		if err := c.SendPacket(t.Context(), packet(n), uint64(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// mustClose closes and wants everything to be settled.
func mustClose(t *testing.T, c *Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// wantIDs compares the ids with packets first, first+1 …
func wantIDs(t *testing.T, got []string, first int) {
	t.Helper()
	for i, g := range got {
		if g != id(first+i) {
			t.Fatalf("packet at place %d is %s, want %s", i, g, id(first+i))
		}
	}
}
