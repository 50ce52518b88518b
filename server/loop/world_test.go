package loop

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/await"
	"sluice/protocol"
	"sluice/server/dispatch"
	"sluice/server/intake"
	"sluice/server/route"
)

// event is a call of Events.
type event struct {
	change   string
	analyzer int
}

type events chan event

func (e events) LinkReady(_, analyzer int)              { e <- event{"ready", analyzer} }
func (e events) LinkSuspect(_, _ int, _ string)         {}
func (e events) LinkWell(_, _ int)                      {}
func (e events) LinkDraining(_, analyzer int, _ string) { e <- event{"draining", analyzer} }
func (e events) LinkLost(_, analyzer int, _ string)     { e <- event{"lost", analyzer} }

// world is one loop on real sockets.
type world struct {
	t      *testing.T
	loop   *Loop
	shared *dispatch.Shared
	events events
	keeper keeper
	owned  *intake.Source // answered for by the keeper
	lent   *intake.Source
	ends   []*atomic.Int64 // how often the end of each agent's connection was told
}

// keeper records what the loop gives back and gives up.
type keeper struct {
	mu       sync.Mutex
	released int // bytes
	kept     []string
}

func (k *keeper) TryReserve(int) bool { return true }

func (k *keeper) Release(size int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.released += size
}

func (k *keeper) Put(frame []byte, final bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var s protocol.Scanned
	if err := protocol.Scan(frame[protocol.HeaderSize:], &s); err != nil {
		panic(err)
	}
	k.kept = append(k.kept, fmt.Sprintf("%s final=%v", s.PacketID, final))
}

func (k *keeper) state() (released int, kept []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.released, append([]string(nil), k.kept...)
}

// newWorld starts a loop with that many analyzers, none connected. It is
// stopped with the test, and must leave no goroutine.
func newWorld(t *testing.T, analyzers int, adjust func(*dispatch.Config)) *world {
	t.Helper()
	await.LeavesNothing(t)
	cfg := dispatch.Defaults()
	// A starved machine is no silent analyzer.
	cfg.Silence, cfg.AckTimeout, cfg.Handshake, cfg.SpillAfter = await.Patience, await.Patience, await.Patience, await.Patience
	if adjust != nil {
		adjust(&cfg)
	}
	w := &world{t: t, shared: dispatch.NewShared(cfg, analyzers), events: make(events, 256)}
	l, err := Start(Config{Dispatch: cfg, Shared: w.shared, Analyzers: analyzers, Events: w.events,
		Logger: slog.New(slog.DiscardHandler), Epoch: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	w.loop = l
	w.owned, w.lent = l.Intake().NewSource(netip.Addr{}, &w.keeper), l.Intake().NewSource(netip.Addr{}, nil)
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		for i, n := range w.ends {
			if n.Load() != 1 {
				t.Errorf("the end of agent %d's connection was told %d times", i, n.Load())
			}
		}
	})
	return w
}

// weigh publishes the route table, which is for health to do in a node.
func (w *world) weigh(weights ...float64) {
	w.t.Helper()
	table, err := route.NewTable(weights)
	if err != nil {
		w.t.Fatal(err)
	}
	w.shared.Table.Store(table)
}

func (w *world) awaitEvent(want event) {
	w.t.Helper()
	if got := await.Value(w.t, want.change, w.events); got != want {
		w.t.Fatalf("event %+v, want %+v", got, want)
	}
}

// pair is both ends of a connection over loopback; ours is closed with the
// test, theirs is for the loop.
func pair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if ours, err = net.DialTimeout("tcp", ln.Addr().String(), await.Patience); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if theirs, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := ours.SetDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// analyzer is the far end of a link: a goroutine that greets, tells of each
// packet, and acknowledges as it is told to.
type analyzer struct {
	net.Conn
	packets chan string // ids in order of arrival; closed with the connection
	done    sync.WaitGroup
}

// addAnalyzer connects analyzer i and awaits its link. An analyzer that does
// not acknowledge leaves that to the test.
func (w *world) addAnalyzer(i int, acknowledges bool) *analyzer {
	w.t.Helper()
	ours, theirs := pair(w.t)
	a := &analyzer{Conn: ours, packets: make(chan string, 8192)}
	a.done.Go(func() { a.serve(w.t, acknowledges) })
	w.t.Cleanup(func() { a.Close(); a.done.Wait() })
	if err := w.loop.AddLink(i, theirs); err != nil {
		w.t.Fatal(err)
	}
	w.awaitEvent(event{"ready", i})
	return a
}

func (a *analyzer) serve(t *testing.T, acknowledges bool) {
	defer close(a.packets)
	r := protocol.NewFrameReader(a, protocol.DefaultMaxFrame)
	n := uint64(0)
	for {
		body, err := r.Next()
		if err != nil {
			return // the connection's end is for the test to judge
		}
		var answer []byte
		if protocol.IsControl(body[0]) {
			var c protocol.Control
			if err := protocol.ParseControl(body, &c); err != nil {
				t.Errorf("the loop sent a malformed control frame: %v", err)
				return
			}
			switch c.Op {
			case protocol.OpHello:
				answer = protocol.AppendWelcome(nil, protocol.Welcome{Version: protocol.Version, Server: "fake", Frames: 1 << 15, Bytes: 1 << 30,
					MaxFrame: protocol.DefaultMaxFrame, Compression: []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip}})
			case protocol.OpPing:
				answer = protocol.AppendPong(nil, c.Echo)
			}
		} else {
			var s protocol.Scanned
			if err := protocol.Scan(body, &s); err != nil {
				t.Errorf("the loop delivered an invalid packet: %v", err)
				return
			}
			n++
			a.packets <- string(s.PacketID)
			if acknowledges {
				answer = ackOf(n)
			}
		}
		if _, err := a.Write(answer); err != nil {
			return
		}
	}
}

func ackOf(n uint64) []byte { return protocol.AppendAck(nil, n, n+1<<15, 1<<40) }

func (a *analyzer) say(t *testing.T, frames []byte) {
	t.Helper()
	if _, err := a.Write(frames); err != nil {
		t.Fatal(err)
	}
}

// agent is the far end of a session, without HELLO.
type agent struct {
	net.Conn
	t *testing.T
	r *protocol.FrameReader
}

func (w *world) addAgent() *agent {
	w.t.Helper()
	ours, theirs := pair(w.t)
	ended := new(atomic.Int64)
	w.ends = append(w.ends, ended)
	if err := w.loop.AddAgent(theirs, func() { ended.Add(1) }); err != nil {
		w.t.Fatal(err)
	}
	return &agent{Conn: ours, t: w.t, r: protocol.NewFrameReader(ours, protocol.DefaultMaxFrame)}
}

func packet(id string) []byte { return protocol.AppendFrame(nil, content(id)) }

// content is the body of packet.
func content(id string) []byte {
	return protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: id, AgentID: "agent",
		Messages: []protocol.LogMessage{{Level: protocol.LevelDebug, Source: "test", Message: "hello"}}})
}

func (a *agent) send(ids ...string) {
	a.t.Helper()
	var out []byte
	for _, id := range ids {
		out = append(out, packet(id)...)
	}
	if _, err := a.Write(out); err != nil {
		a.t.Fatal(err)
	}
}

// next is the next control frame; its Text is borrowed.
func (a *agent) next() (c protocol.Control) {
	a.t.Helper()
	body, err := a.r.Next()
	if err != nil {
		a.t.Fatalf("agent reads: %v", err)
	}
	if err := protocol.ParseControl(body, &c); err != nil {
		a.t.Fatalf("agent was sent: %v", err)
	}
	return c
}

// awaitAck reads ACKs, and nothing but ACKs, up to n.
func (a *agent) awaitAck(n uint64) {
	a.t.Helper()
	for {
		switch c := a.next(); {
		case c.Op != protocol.OpAck || c.N > n:
			a.t.Fatalf("agent was sent %+v, want an ACK of at most %d", c, n)
		case c.N == n:
			return
		}
	}
}

func (a *agent) awaitEnd() {
	a.t.Helper()
	if body, err := a.r.Next(); err != io.EOF {
		a.t.Fatalf("agent read %x, %v, want the end", body, err)
	}
}
