package bench

import (
	"math"
	"testing"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
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

// world plays the loop and the far ends of one core.
type world struct {
	core     *dispatch.Core
	frame    int // bytes of each data frame
	now      time.Duration
	session  *dispatch.Session
	links    []*dispatch.Link
	sessions []*dispatch.Session
	acked    [len(weights)]uint64 // data frames written to each link, and acknowledged at once
	ack      []byte
	answers  []byte        // the last ones to the agent
	settling time.Duration // from ACKs of analyzers to answers
}

func newWorld(b *testing.B, r dispatch.Route, s shape) *world {
	b.Helper()
	cfg := dispatch.Defaults()
	cfg.Route = r
	shared := dispatch.NewShared(cfg, len(weights))
	w := &world{core: dispatch.New(cfg, shared, len(weights)), frame: protocol.HeaderSize + s.size, now: time.Second}
	w.core.BeginTurn(w.now)
	for _, l := range w.core.Links() {
		w.core.LinkOpened(l, w)
		w.core.NextControl(l)
		w.core.ReceiveLink(l, protocol.AppendWelcome(nil, protocol.Welcome{
			Version: protocol.Version, Server: "bench", Frames: 32768, Bytes: 8 << 20, MaxFrame: cfg.MaxFrame,
			Compression: []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip},
		}))
		if !l.Ready() {
			b.Fatalf("link %d is not ready", l.Index())
		}
	}
	w.core.TakeEvents(nil)
	shared.Table.Store(table(b, weights[:]))
	w.session = w.core.Open(w)
	return w
}

// turn gives the core a read, and then plays the loop until it comes to rest.
// A link's hand-over limit may cut its share into several writes. There are no
// ticks: they would PING, at a cost that is not a packet's.
func (w *world) turn(read []byte) {
	w.now += time.Millisecond
	w.core.BeginTurn(w.now)
	w.core.Receive(w.session, read)
	for {
		w.links = w.core.TakeDirtyLinks(w.links[:0])
		for _, l := range w.links {
			w.write(l)
		}
		w.sessions = w.core.TakeDirtySessions(w.sessions[:0])
		began := time.Now()
		for _, s := range w.sessions {
			w.answers = append(w.answers[:0], w.core.NextAnswers(s)...)
		}
		w.settling += time.Since(began)
		if len(w.links)+len(w.sessions) == 0 {
			return
		}
	}
}

// write takes what there is for a link, and answers it with one ACK, as a turn
// of its own.
func (w *world) write(l *dispatch.Link) {
	bytes := 0
	for {
		out := w.core.NextWrite(l)
		if len(out) == 0 {
			break
		}
		bytes += len(out)
	}
	if bytes == 0 {
		return
	}
	n := &w.acked[l.Index()]
	*n += uint64(bytes / w.frame)
	began := time.Now()
	w.ack = protocol.AppendAck(w.ack[:0], *n, *n+32768, math.MaxInt64)
	w.core.BeginTurn(w.now)
	w.core.ReceiveLink(l, w.ack)
	w.settling += time.Since(began)
}

// check fails unless the core delivered all that was sent, by weight if it was
// to, and told the agent.
func (w *world) check(b *testing.B, sent uint64, byWeight bool) {
	b.Helper()
	var n dispatch.Counters
	w.core.Snapshot(&n)
	if n.Received != sent || n.Delivered != sent || n.Unaccounted() != 0 || n.Redispatched+n.Spilled != 0 || w.session.Unsettled() != 0 {
		b.Fatalf("sent %d packets, the core counts %+v", sent, n)
	}
	if len(w.core.TakeDoomed(nil))+len(w.core.TakeEvents(nil)) != 0 {
		b.Fatal("a link was lost")
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
