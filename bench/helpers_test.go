package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	analyzer "sluice/analyzer/node"
	"sluice/protocol"
	"sluice/server/config"
	distributor "sluice/server/node"
	"sluice/server/stats"
)

// limit is how long anything may take on a busy machine.
const limit = 60 * time.Second

// weights of the four analyzers.
var weights = [...]float64{40, 30, 20, 10}

// shape is how a packet looks.
type shape struct {
	messages int
	size     int // bytes of the msgpack body
}

func (s shape) String() string {
	size := fmt.Sprintf("%dB", s.size)
	if s.size >= 1<<10 {
		size = fmt.Sprintf("%dKB", s.size>>10)
	}
	return fmt.Sprintf("messages=%d/body=%s", s.messages, size)
}

// small is the packet that rates are quoted for.
var small = shape{1, 200}

// shapes are all pairs of 1, 10 and 100 messages and 200 B, 2 KB and 64 KB
// that exist: a message alone takes some 60 bytes.
var shapes = [...]shape{small, {1, 2 << 10}, {1, 64 << 10}, {10, 2 << 10}, {10, 64 << 10}, {100, 64 << 10}}

// diagonal is what serves where six shapes would tell no more than three.
var diagonal = [...]shape{small, {10, 2 << 10}, {100, 64 << 10}}

// idMark is the part of a packet_id that a template replaces.
const idMark = "0123456789abcdef"

// packet makes the packet whose body has exactly the shape's size.
func packet(b *testing.B, s shape) *protocol.LogPacket {
	b.Helper()
	p := &protocol.LogPacket{PacketID: "bench-0000-7000-" + idMark, AgentID: "agent-1"}
	for i := range s.messages {
		p.Messages = append(p.Messages, protocol.LogMessage{
			Timestamp: protocol.Timestamp{Time: time.Unix(1700000000+int64(i), 123456789)},
			Level:     protocol.LevelInfo, Source: "bench",
		})
	}
	text := newText(s.size + 256)
	each := (s.size - len(protocol.AppendPacket(nil, p))) / s.messages
	if each < 4 {
		b.Fatalf("%v does not exist", s)
	}
	for i := range p.Messages {
		p.Messages[i].Message = text.next(each - 3) // 3: the longest header of these strings
	}
	last := &p.Messages[s.messages-1].Message
	for range 8 {
		missing := s.size - len(protocol.AppendPacket(nil, p))
		if missing == 0 {
			return p
		}
		*last = text.next(len(*last) + missing)
	}
	b.Fatalf("no packet is exactly %v", s)
	return nil
}

// body makes a packet and encodes it.
func body(b *testing.B, s shape) []byte {
	b.Helper()
	return protocol.AppendPacket(nil, packet(b, s))
}

// text gives lines that compress as logs do. The same in every run.
type text struct {
	words string
	at    int
}

func newText(size int) *text {
	vocabulary := strings.Fields("request response user session timeout retry connection database query cache miss hit " +
		"completed failed started in ms for from to with status error upstream service payment order shard replica")
	random := rand.New(rand.NewPCG(1, 2))
	var out strings.Builder
	for out.Len() < 2*size {
		if random.IntN(4) == 0 {
			fmt.Fprintf(&out, "%d ", random.IntN(100_000))
		} else {
			out.WriteString(vocabulary[random.IntN(len(vocabulary))] + " ")
		}
	}
	return &text{words: out.String()}
}

func (t *text) next(n int) string {
	if t.at+n > len(t.words) {
		t.at = 0
	}
	t.at += n
	return t.words[t.at-n : t.at]
}

// template is an encoded packet whose id changes from one use to the next: it
// costs a copy, so that what is measured is not the making of packets.
type template struct {
	body []byte
	at   int // of idMark
}

func newTemplate(b *testing.B, body []byte) *template {
	b.Helper()
	at := bytes.Index(body, []byte(idMark))
	if at < 0 || bytes.Count(body, []byte(idMark)) != 1 {
		b.Fatal("the packet_id cannot be told from the rest of the body")
	}
	return &template{body, at}
}

// appendTo appends the body of packet n.
func (t *template) appendTo(dst []byte, n uint64) []byte {
	at := len(dst) + t.at
	dst = append(dst, t.body...)
	for i := range len(idMark) {
		dst[at+i] = "0123456789abcdef"[n>>(60-4*i)&15]
	}
	return dst
}

// jsonBody is the packet of a shape as POST /ingest takes it.
func jsonBody(b *testing.B, s shape) []byte {
	b.Helper()
	out, err := json.Marshal(packet(b, s))
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// perPacket reports what an op of many packets costs for each.
func perPacket(b *testing.B, packets uint64) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
	b.ReportMetric(float64(packets)/float64(b.N), "packets/op")
}

// system is a distributor and four analyzers that look into nothing.
type system struct {
	analyzers   []*analyzer.Node
	distributor *distributor.Node
	sent        uint64 // packets that check expects
}

// newSystem starts a system, waits until it can deliver, and stops it at the
// end of the benchmark.
func newSystem(b *testing.B) *system {
	b.Helper()
	s := &system{}
	b.Cleanup(func() { s.stop(b) })
	cfg := config.Default()
	cfg.Listen, cfg.HTTPListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.DeadLetterDir = b.TempDir()
	// A starved machine is not a slow analyzer: nothing is to be moved or sent
	// twice while it is measured.
	cfg.SpillAfter, cfg.Silence, cfg.AckTimeout = limit, limit, limit
	cfg.Analyzers = nil
	quiet := slog.New(slog.DiscardHandler)
	for i, w := range weights {
		name := fmt.Sprintf("analyzer-%d", i+1)
		a, err := analyzer.Start(analyzer.Config{Name: name, Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Discard: true, Logger: quiet})
		if err != nil {
			b.Fatal(err)
		}
		s.analyzers = append(s.analyzers, a)
		cfg.Analyzers = append(cfg.Analyzers, config.Analyzer{Name: name, Addr: a.Addr(), Weight: w})
	}
	var err error
	if s.distributor, err = distributor.Start(cfg, quiet); err != nil {
		b.Fatal(err)
	}
	s.await(b, "all analyzers up", func() bool { return s.distributor.Health().Status == stats.Healthy })
	return s
}

func (s *system) stop(b *testing.B) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if s.distributor != nil {
		if err := s.distributor.Shutdown(ctx); err != nil {
			b.Errorf("shutdown: %v", err)
		}
	}
	for _, a := range s.analyzers {
		if err := a.Stop(ctx); err != nil {
			b.Errorf("%s: %v", a.Name(), err)
		}
	}
}

func (s *system) await(b *testing.B, what string, ok func() bool) {
	b.Helper()
	deadline := time.After(limit)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-deadline:
			b.Fatalf("not within %v: %s; stats %+v", limit, what, s.distributor.Stats())
		case <-poll.C:
		}
	}
}

// check waits until nothing is on its way any more, and fails unless each
// packet that was sent was delivered exactly once and the ledger is 0.
func (s *system) check(b *testing.B) {
	b.Helper()
	var st stats.Snapshot
	s.await(b, fmt.Sprintf("%d packets delivered", s.sent), func() bool {
		st = s.distributor.Stats()
		return st.DeliveredPackets >= s.sent && st.QueuedPackets+st.InFlightPackets == 0
	})
	var received uint64
	for _, a := range s.analyzers {
		received += a.Stats().ReceivedPackets
	}
	if st.DeliveredPackets != s.sent || received != s.sent || st.UnaccountedPackets != 0 || st.RedispatchedPackets != 0 {
		b.Fatalf("sent %d packets, analyzers received %d; stats %+v", s.sent, received, st)
	}
}
