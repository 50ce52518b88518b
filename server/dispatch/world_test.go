package dispatch

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"sluice/protocol"
	"sluice/server/route"
)

// tester is what testing.T and rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// world is a core with the sockets played by the test: what is written to a
// link or a session lands in memory, and nothing happens by itself.
type world struct {
	t       tester
	cfg     Config
	shared  *Shared
	core    *Core
	now     time.Duration
	weights []float64
	held    []bool // kept out of the table, as health does with one that recovers
	desk    *fakeDesk
	agents  map[string]*fakeAgent
	sinks   []*fakeSink
	window  uint64 // frames of credit beyond what a sink has acknowledged; MaxUint64: no limit at all
	events  []string
}

// submit gives frames in as HTTP does.
func (w *world) submit(count, size int) {
	w.turn(func(c *Core) {
		for range count {
			w.desk.sent++
			frame := packet("desk", uint64(w.desk.sent), size)
			n, code := c.Submit(w.desk.session, frame, 1)
			if code != 0 {
				w.desk.fate(n, "answered "+code.String())
			}
			clear(frame) // borrowed
		}
	})
}

func newWorld(t tester, cfg Config, weights ...float64) *world {
	w := &world{t: t, cfg: cfg, weights: weights, held: make([]bool, len(weights)), agents: map[string]*fakeAgent{}, now: time.Second, window: 32768}
	w.shared = NewShared(cfg, len(weights))
	w.core = New(cfg, w.shared, len(weights))
	for range weights {
		w.sinks = append(w.sinks, &fakeSink{})
	}
	w.desk = &fakeDesk{w: w, fates: map[uint64]string{}}
	w.desk.session = w.core.OpenObserved(w.desk, true)
	return w
}

func (w *world) publish() {
	effective := make([]float64, len(w.weights))
	for i, x := range w.weights {
		if w.core.links[i].state == linkReady && !w.core.links[i].draining && !w.held[i] {
			effective[i] = x
		}
	}
	table, err := route.NewTable(effective)
	if err != nil {
		w.t.Fatal(err)
	}
	w.shared.Table.Store(table)
}

// turn does something to the core and then what a loop does.
func (w *world) turn(f func(c *Core)) {
	w.core.BeginTurn(w.now)
	f(w.core)
	w.flush()
}

func (w *world) flush() {
	for range 1000 {
		links := w.core.TakeDirtyLinks(nil)
		for _, l := range links {
			w.writeLink(l)
		}
		sessions := w.core.TakeDirtySessions(nil)
		for _, s := range sessions {
			w.writeSession(s)
		}
		doomed := w.core.TakeDoomed(nil)
		for _, l := range doomed {
			w.core.LinkLost(l, "closed")
		}
		events := w.core.TakeEvents(nil)
		for _, e := range events {
			if e.Change == LinkIsLost {
				w.sinks[e.Link.index].open = false
			}
			w.events = append(w.events, strings.TrimSpace(fmt.Sprintf("link %d %s %s", e.Link.index, [...]string{"ready", "suspect:", "well", "draining", "lost:"}[e.Change], e.Reason)))
			w.publish()
			w.core.BeginTurn(w.now)
		}
		if len(links)+len(sessions)+len(doomed)+len(events) == 0 {
			return
		}
	}
	w.t.Fatal("the core never comes to rest")
}

func (w *world) agent(name string) *fakeAgent {
	if a := w.agents[name]; a != nil {
		return a
	}
	a := &fakeAgent{name: name, nacked: map[uint64]protocol.NackCode{}}
	w.agents[name] = a
	w.turn(func(c *Core) { a.session = c.Open(a) })
	return a
}

func (w *world) send(name string, count, size int) {
	a := w.agent(name)
	var data []byte
	for range count {
		a.sent++
		data = append(data, packet(name, a.sent, size)...)
	}
	w.turn(func(c *Core) {
		c.Receive(a.session, data)
		for i := range data {
			data[i] = 0xc1 // borrowed bytes do not outlive the loan
		}
	})
}

// up connects an analyzer, which says WELCOME.
func (w *world) up(i int) {
	sink := w.sinks[i]
	l := w.core.links[i]
	w.turn(func(c *Core) { c.LinkOpened(l, sink) })
	sink.open, sink.number, sink.acked = true, 0, 0
	frames, bytes := w.credit(sink)
	welcome := protocol.AppendWelcome(nil, protocol.Welcome{Version: protocol.Version, Server: "sink", Frames: frames, Bytes: bytes,
		MaxFrame: w.cfg.MaxFrame, Compression: accepted})
	w.turn(func(c *Core) { c.ReceiveLink(l, welcome) })
}

// ack acknowledges the next k frames that sink i received.
func (w *world) ack(i, k int) {
	sink := w.sinks[i]
	sink.acked = min(sink.acked+uint64(k), sink.number)
	frames, bytes := w.credit(sink)
	out := protocol.AppendAck(nil, sink.acked, frames, bytes)
	w.turn(func(c *Core) { c.ReceiveLink(w.core.links[i], out) })
}

func (w *world) advance(d time.Duration) {
	for d > 0 {
		step := min(d, TickEvery)
		d -= step
		w.now += step
		w.turn(func(c *Core) { c.Tick() })
	}
}

func (w *world) lose(i int) {
	w.sinks[i].open = false
	w.turn(func(c *Core) { c.LinkLost(c.links[i], "test cut the cable") })
}

// check holds after every step: the ledger is exact, and every admitted frame
// is where the counters say.
func (w *world) check() Counters {
	w.t.Helper()
	var n Counters
	w.core.Snapshot(&n)
	if u := n.Unaccounted(); u != 0 {
		w.t.Fatalf("%d frames unaccounted: %+v", u, n)
	}
	if q := uint64(w.shared.Queued()); q != n.Queued {
		w.t.Fatalf("shared queue count %d, queued %d", q, n.Queued)
	}
	if used := w.shared.BytesInUse(); used < 0 || used > w.cfg.ByteBudget+w.overdraft() {
		w.t.Fatalf("byte budget in use: %d of %d", used, w.cfg.ByteBudget)
	}
	picked := uint64(0)
	for i := range n.Analyzers {
		picked += n.Analyzers[i].Picked
	}
	if w.cfg.Route == RouteWeighted && picked != w.shared.Sequence.Reserved() {
		w.t.Fatalf("%d numbers of the sequence were reserved, %d used", w.shared.Sequence.Reserved(), picked)
	}
	unsettled := 0
	for _, s := range w.core.sessions {
		if s != nil {
			unsettled += s.unsettled
		}
	}
	if uint64(unsettled) != n.Queued+n.InFlight {
		w.t.Fatalf("sessions wait for %d, stages hold %d", unsettled, n.Queued+n.InFlight)
	}
	return n
}

// overdraft is by how much the byte budget may be passed: spare buffers, and
// one chunk for each link that admitted frames move to.
func (w *world) overdraft() int64 {
	return sparePartials*sparePartialBytes + int64(len(w.sinks)*max(chunkBytes, w.cfg.MaxFrame+protocol.HeaderSize))
}

// rejected describes the refusals of a snapshot.
func rejected(n Counters) string {
	var parts []string
	for code, k := range n.Rejected {
		if k > 0 {
			parts = append(parts, fmt.Sprintf("%v=%d", protocol.NackCode(code), k))
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}
