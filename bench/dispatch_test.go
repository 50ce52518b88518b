package bench

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
	"sluice/server/pump"
)

const (
	// readSize is what a loop reads at most in a turn.
	readSize = 256 << 10
	// turnPackets is how many small packets such a read holds.
	turnPackets = readSize / frameSize
)

// BenchmarkDispatch is a packet's way through the distributor with the sockets
// cut off. An op is a read of an agent's connection, the writes to the
// analyzers that it leads to, their ACKs, and the answers to the agent.
func BenchmarkDispatch(b *testing.B) {
	for _, c := range []struct {
		name  string
		route dispatch.Route
	}{{"weighted", dispatch.RouteWeighted}, {"agent", dispatch.RouteAgent}, {"packet", dispatch.RoutePacket}} {
		for _, s := range diagonal {
			b.Run("route="+c.name+"/"+s.String(), func(b *testing.B) {
				w := newWorld(b, c.route, s)
				read, packets := w.read(b, s)
				w.warmUp(read)
				b.SetBytes(int64(len(read)))
				b.ReportAllocs()
				for b.Loop() {
					w.turn(read)
				}
				perPacket(b, uint64(b.N)*packets)
				w.check(b, uint64(b.N+warmTurns)*packets, c.route == dispatch.RouteWeighted)
			})
		}
	}
}

// BenchmarkSettle is the second half of that way alone: four ACKs of analyzers,
// the settlement of each packet in the session's window, and the ACK to the
// agent. An op is a turn as in BenchmarkDispatch; ns/settled is the half's part
// of it for a packet.
func BenchmarkSettle(b *testing.B) {
	w := newWorld(b, dispatch.RouteWeighted, small)
	read, packets := w.read(b, small)
	w.warmUp(read)
	w.settling = 0
	b.SetBytes(int64(len(read)))
	b.ReportAllocs()
	for b.Loop() {
		w.turn(read)
	}
	b.ReportMetric(float64(w.settling.Nanoseconds())/float64(uint64(b.N)*packets), "ns/settled")
	w.check(b, uint64(b.N+warmTurns)*packets, true)
}

// warmTurns let chunks, rings and bitmaps grow to their size.
const warmTurns = 32

func (w *world) warmUp(read []byte) {
	for range warmTurns {
		w.turn(read)
	}
}

// read is what a loop reads at once of packets of a shape, and how many.
func (w *world) read(b *testing.B, s shape) (read []byte, packets uint64) {
	b.Helper()
	t := newTemplate(b, body(b, s))
	var one []byte
	for packets < uint64(max(1, readSize/w.frame)) {
		one = t.appendTo(one[:0], packets)
		read = protocol.AppendFrame(read, one)
		packets++
	}
	return read, packets
}

// world is one core in its pump, and the far ends.
type world struct {
	pump     *pump.Pump
	core     *dispatch.Core
	frame    int // bytes of each data frame
	now      time.Duration
	agent    *pump.Conn
	links    [len(weights)]*farLink
	ack      []byte
	answers  []byte        // the last ones to the agent
	settling time.Duration // from ACKs of analyzers to answers
}

// farLink is the transport of a link: it counts what is written.
type farLink struct {
	conn  *pump.Conn
	bytes int
	sent  uint64 // data frames that were written
}

func (l *farLink) Write(p []byte) { l.bytes += len(p) }
func (l *farLink) Full() bool     { return false }
func (l *farLink) CloseWrite()    {}
func (l *farLink) Close()         {}

// farAgent is the transport of the agent: it keeps the last answers.
type farAgent struct{ w *world }

func (a farAgent) Write(p []byte) { a.w.answers = append(a.w.answers[:0], p...) }
func (a farAgent) Full() bool     { return false }
func (a farAgent) CloseWrite()    {}
func (a farAgent) Close()         {}

// The world is the pump's host. There are no ticks: they would PING, at a cost
// that is not a packet's.

func (w *world) Now() time.Duration             { return w.now }
func (w *world) FlushSoon() bool                { return false }
func (w *world) ResumeSoon() bool               { return false }
func (w *world) SetPace(time.Duration)          {}
func (w *world) WakeForMail() error             { return nil }
func (w *world) After(time.Duration, func())    {}
func (w *world) LinkChanged(dispatch.LinkEvent) {}

func newWorld(b *testing.B, r dispatch.Route, s shape) *world {
	b.Helper()
	cfg := dispatch.Defaults()
	cfg.Route = r
	shared := dispatch.NewShared(cfg, len(weights))
	w := &world{core: dispatch.New(cfg, shared, len(weights)), frame: protocol.HeaderSize + s.size, now: time.Second}
	w.pump = pump.New(w.core, w)
	for i, l := range w.core.Links() {
		far := &farLink{}
		w.links[i] = far
		far.conn = w.pump.AddLink(far, i)
		w.pump.Received(far.conn, protocol.AppendWelcome(nil, protocol.Welcome{
			Version: protocol.Version, Server: "bench", Frames: 32768, Bytes: 8 << 20, MaxFrame: cfg.MaxFrame,
			Compression: dispatch.Accepted,
		}))
		if !l.Ready() {
			b.Fatalf("link %d is not ready", l.Index())
		}
		far.bytes = 0 // the HELLO
	}
	shared.Table.Store(table(b, weights[:]))
	w.agent = w.pump.AddAgent(farAgent{w}, netip.Addr{}, nil)
	return w
}

// turn gives the pump a read, and answers what the links are written with one ACK
// each, as turns of their own, until it comes to rest. A link's hand-over limit may
// cut its share into several writes.
func (w *world) turn(read []byte) {
	w.now += time.Millisecond
	w.pump.Received(w.agent, read)
	began := time.Now()
	for more := true; more; {
		more = false
		for _, l := range w.links {
			if l.bytes == 0 {
				continue
			}
			more = true
			l.sent += uint64(l.bytes / w.frame)
			l.bytes = 0
			w.ack = protocol.AppendAck(w.ack[:0], l.sent, l.sent+32768, math.MaxInt64)
			w.pump.Received(l.conn, w.ack)
		}
	}
	w.settling += time.Since(began)
}

// check fails unless the core delivered all that was sent, by weight if it was
// to, and told the agent.
func (w *world) check(b *testing.B, sent uint64, byWeight bool) {
	b.Helper()
	var n dispatch.Counters
	w.pump.Snapshot(&n)
	if n.Received != sent || n.Delivered != sent || n.Unaccounted() != 0 || n.Redispatched+n.Spilled != 0 || w.agent.Agent().Source().Unsettled() != 0 {
		b.Fatalf("sent %d packets, the core counts %+v", sent, n)
	}
	for _, l := range w.core.Links() {
		if !l.Ready() {
			b.Fatal("a link was lost")
		}
	}
	for i, l := range w.core.Links() {
		want := float64(sent) * weights[i] / 100
		if got := float64(n.Analyzers[l.Index()].Delivered); byWeight && math.Abs(got-want) > 10 {
			b.Errorf("analyzer %d was given %.0f, its weight says %.0f", i, got, want)
		}
	}
	var last protocol.Control
	if len(w.answers) <= protocol.HeaderSize {
		b.Fatal("the agent was told nothing")
	}
	if err := protocol.ParseControl(w.answers[protocol.HeaderSize:], &last); err != nil || last.Op != protocol.OpAck || last.N != sent {
		b.Fatalf("sent %d packets, the agent was told at last %v %d (error %v)", sent, last.Op, last.N, err)
	}
}
