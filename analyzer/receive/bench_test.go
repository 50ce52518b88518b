package receive

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/protocol"
)

// memConn is a sender without a kernel: it repeats a stream of frames, as far
// as the ACKs that are written to it let it.
type memConn struct {
	net.Conn
	stream []byte
	frames uint64 // in the stream

	mu    sync.Mutex
	moved sync.Cond
	left  int    // streams to send
	sent  uint64 // frames
	acked uint64
	at    int
}

func (c *memConn) Read(b []byte) (int, error) {
	if c.at == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		for c.sent > c.acked+8192 || c.left == 0 && c.acked < c.sent {
			c.moved.Wait()
		}
		if c.left == 0 {
			return 0, io.EOF
		}
		c.left--
		c.sent += c.frames
	}
	n := copy(b, c.stream[c.at:])
	if c.at += n; c.at == len(c.stream) {
		c.at = 0
	}
	return n, nil
}

func (c *memConn) Write(b []byte) (int, error) {
	var ctl protocol.Control
	for rest := b; len(rest) > 0; {
		n := protocol.HeaderSize + int(protocol.FrameLength(rest))
		if protocol.ParseControl(rest[protocol.HeaderSize:n], &ctl) == nil && ctl.Op == protocol.OpAck {
			c.mu.Lock()
			c.acked = ctl.N
			c.moved.Signal()
			c.mu.Unlock()
		}
		rest = rest[n:]
	}
	return len(b), nil
}

func (c *memConn) Close() error                     { return nil }
func (c *memConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *memConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

func benchmark(b *testing.B, cfg Config) {
	s, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	pkt := frame(protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "0123456789", AgentID: "agent-1",
		Messages: []protocol.LogMessage{{Timestamp: protocol.Timestamp{Time: time.Unix(1e9, 5)}, Level: "INFO", Source: "bench", Message: strings.Repeat("x", 85)}}}))
	c := &memConn{frames: uint64(fullRead / len(pkt))}
	c.moved.L = &c.mu
	for range c.frames {
		c.stream = append(c.stream, pkt...)
	}
	c.stream = append(c.stream, protocol.AppendPing(nil, 1)...)
	c.left = 1 + b.N/int(c.frames)
	b.SetBytes(int64(len(pkt)))
	b.ReportAllocs()
	b.ResetTimer()
	newConn(s, c).run()
	if c.acked != c.sent {
		b.Fatalf("%d acknowledged of %d", c.acked, c.sent)
	}
}

func BenchmarkDiscard(b *testing.B) { benchmark(b, Config{Discard: true}) }
func BenchmarkHandler(b *testing.B) { benchmark(b, Config{Handler: accept}) }
