package dispatch_test

import (
	"fmt"
	"net/netip"
	"sort"
	"strings"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
	"sluice/server/pump"
	"sluice/server/route"
	"sluice/server/stage"
	"sluice/server/wire"
)

// tester is what testing.T and rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// world is a core in its pump, with the sockets played by the test: what is
// written to a link or an agent lands in memory, and nothing happens by itself.
type world struct {
	t       tester
	cfg     dispatch.Config
	shared  *dispatch.Shared
	core    *dispatch.Core
	pump    *pump.Pump
	now     time.Duration
	weights []float64
	held    []bool // kept out of the table, as health does with one that recovers
	desk    *fakeDesk
	agents  map[string]*fakeAgent
	sinks   []*fakeSink
	window  uint64 // frames of credit beyond what a sink has acknowledged; MaxUint64: no limit at all
	events  []string
}

// submit gives frames in as an intake does.
func (w *world) submit(count, size int) {
	w.turn(func(c *dispatch.Core) {
		for range count {
			w.desk.sent++
			frame := packet("desk", uint64(w.desk.sent), size)
			n, code := c.Submit(w.desk.source, frame, 1)
			if code != 0 {
				w.desk.fate(n, "answered "+code.String())
			}
			clear(frame) // borrowed
		}
	})
}

func newWorld(t tester, cfg dispatch.Config, weights ...float64) *world {
	w := &world{t: t, cfg: cfg, weights: weights, held: make([]bool, len(weights)), agents: map[string]*fakeAgent{}, now: time.Second, window: 32768}
	w.shared = dispatch.NewShared(cfg, len(weights))
	w.core = dispatch.New(cfg, w.shared, len(weights))
	w.pump = pump.New(w.core, w)
	for range weights {
		w.sinks = append(w.sinks, &fakeSink{w: w})
	}
	w.desk = &fakeDesk{w: w, fates: map[uint64]string{}}
	w.desk.source = w.core.OpenSource(w.desk, dispatch.SourceConfig{AnswersFor: true})
	return w
}

// The world is the pump's host. It leaves ticks and mail to the tests.

func (w *world) Now() time.Duration          { return w.now }
func (w *world) FlushSoon() bool             { return false }
func (w *world) ResumeSoon() bool            { return false }
func (w *world) SetPace(time.Duration)       {}
func (w *world) WakeForMail() error          { return nil }
func (w *world) After(time.Duration, func()) {}
func (w *world) LinkChanged(e dispatch.LinkEvent) {
	i := e.Link.Index()
	if e.Change == dispatch.LinkIsLost {
		w.sinks[i].open = false
	}
	w.events = append(w.events, strings.TrimSpace(fmt.Sprintf("link %d %s %s", i, [...]string{"ready", "suspect:", "well", "draining", "lost:"}[e.Change], e.Reason)))
	w.publish()
}

func (w *world) publish() {
	effective := make([]float64, len(w.weights))
	for i, x := range w.weights {
		if l := w.core.Links()[i]; l.Ready() && !l.Draining() && !w.held[i] {
			effective[i] = x
		}
	}
	table, err := route.NewTable(effective)
	if err != nil {
		w.t.Fatal(err)
	}
	w.shared.Table.Store(table)
}

// turn does something to the core in a turn of its own.
func (w *world) turn(f func(c *dispatch.Core)) {
	w.pump.Do(func(*pump.Pump) { f(w.core) })
}

func (w *world) newAgent(name string) *fakeAgent {
	a := &fakeAgent{w: w, name: name, nacked: map[uint64]protocol.NackCode{}}
	a.conn = w.pump.AddAgent(a, netip.Addr{}, nil)
	return a
}

func (w *world) agent(name string) *fakeAgent {
	if w.agents[name] == nil {
		w.agents[name] = w.newAgent(name)
	}
	return w.agents[name]
}

// receive is a read from an agent's socket.
func (w *world) receive(a *fakeAgent, data []byte) {
	if a.closed {
		return
	}
	data = append([]byte(nil), data...)
	w.pump.Received(a.conn, data)
	for i := range data {
		data[i] = 0xc1 // borrowed bytes do not outlive the loan
	}
}

// answer is a read from an analyzer's socket.
func (w *world) answer(i int, data []byte) {
	if w.sinks[i].open {
		w.pump.Received(w.sinks[i].conn, data)
	}
}

// leave closes an agent's connection.
func (w *world) leave(a *fakeAgent) {
	a.closed = true
	w.pump.Closed(a.conn, "")
}

func (w *world) send(name string, count, size int) {
	a := w.agent(name)
	var data []byte
	for range count {
		a.sent++
		data = append(data, packet(name, a.sent, size)...)
	}
	w.receive(a, data)
}

// up connects an analyzer, which says WELCOME.
func (w *world) up(i int) {
	sink := w.sinks[i]
	sink.open, sink.number, sink.acked = true, 0, 0
	sink.conn = w.pump.AddLink(sink, i)
	frames, bytes := w.credit(sink)
	w.answer(i, protocol.AppendWelcome(nil, protocol.Welcome{Version: protocol.Version, Server: "sink", Frames: frames, Bytes: bytes,
		MaxFrame: w.cfg.MaxFrame, Compression: dispatch.Accepted}))
}

// ack acknowledges the next k frames that sink i received.
func (w *world) ack(i, k int) {
	sink := w.sinks[i]
	sink.acked = min(sink.acked+uint64(k), sink.number)
	frames, bytes := w.credit(sink)
	w.answer(i, protocol.AppendAck(nil, sink.acked, frames, bytes))
}

func (w *world) advance(d time.Duration) {
	for d > 0 {
		step := min(d, dispatch.TickEvery)
		d -= step
		w.now += step
		w.pump.Tick()
	}
}

func (w *world) lose(i int) {
	if w.sinks[i].open {
		w.sinks[i].open = false
		w.pump.Closed(w.sinks[i].conn, "test cut the cable")
	}
}

// check holds after every step: the ledger is exact, and every admitted frame
// is where the counters say.
func (w *world) check() dispatch.Counters {
	w.t.Helper()
	var n dispatch.Counters
	w.pump.Snapshot(&n)
	if u := n.Unaccounted(); u != 0 {
		w.t.Fatalf("%d frames unaccounted: %+v", u, n)
	}
	if q := uint64(w.shared.Queued()); q != n.Queued {
		w.t.Fatalf("shared queue count %d, queued %d", q, n.Queued)
	}
	if used := w.shared.Budget.Used(); used < 0 || used > w.cfg.ByteBudget+w.overdraft() {
		w.t.Fatalf("byte budget in use: %d of %d", used, w.cfg.ByteBudget)
	}
	picked := uint64(0)
	for i := range n.Analyzers {
		picked += n.Analyzers[i].Picked
	}
	if w.cfg.Route == dispatch.RouteWeighted && picked != w.shared.Sequence.Reserved() {
		w.t.Fatalf("%d numbers of the sequence were reserved, %d used", w.shared.Sequence.Reserved(), picked)
	}
	bySources, byParties, _ := w.core.Held()
	if uint64(bySources) != n.Queued+n.InFlight || byParties != bySources {
		w.t.Fatalf("sources wait for %d, parties for %d, windows and queues hold %d", bySources, byParties, n.Queued+n.InFlight)
	}
	return n
}

// overdraft is by how much the byte budget may be passed: spare buffers, and
// one chunk for each link that admitted frames move to.
func (w *world) overdraft() int64 {
	return wire.Overdraft + int64(len(w.sinks)*max(stage.ChunkBytes, w.cfg.MaxFrame+protocol.HeaderSize))
}

// rejected describes the refusals of a snapshot.
func rejected(n dispatch.Counters) string {
	var parts []string
	for code, k := range n.Rejected {
		if k > 0 {
			parts = append(parts, fmt.Sprintf("%v=%d", protocol.NackCode(code), k))
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}
