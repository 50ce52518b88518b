package dispatch

import (
	"fmt"
	"math"
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

// fakeAgent is the far end of a session.
type fakeAgent struct {
	name    string
	session *Session
	sent    uint64
	upTo    uint64
	frames  uint64 // credit told
	nacked  map[uint64]protocol.NackCode
	lines   []string
	cut     []byte // of an answer whose rest is in the next piece
	deaf    bool   // does not read: answers stay in the core
	closed  bool
}

// fakeSink is the far end of a link.
type fakeSink struct {
	open     bool
	number   uint64   // data frames received on this connection
	acked    uint64   // and acknowledged
	told     uint64   // credit: frames
	received []string // packet ids over all connections, in order
	full     bool     // the socket takes nothing
	lines    []string
}

// fakeDesk is the observer of an owned session, as the HTTP side of a loop.
type fakeDesk struct {
	w       *world
	session *Session
	sent    int
	fates   map[uint64]string
	lines   []string
}

func (d *fakeDesk) Delivered(n uint64, analyzer, size int) {
	if size <= protocol.HeaderSize {
		d.w.t.Fatalf("frame %d of %d bytes was delivered", n, size)
	}
	d.fate(n, fmt.Sprintf("delivered to %d", analyzer))
}

func (d *fakeDesk) Refused(n uint64, code protocol.NackCode, frame []byte) {
	var s protocol.Scanned
	if err := protocol.Scan(frame[protocol.HeaderSize:], &s); err != nil || int(protocol.FrameLength(frame)) != len(frame)-protocol.HeaderSize {
		d.w.t.Fatalf("the dead letter of frame %d is no packet: %v", n, err)
	}
	d.fate(n, fmt.Sprintf("dead letter %s (%v)", s.PacketID, code))
}

// fate checks that each frame has one.
func (d *fakeDesk) fate(n uint64, what string) {
	if was, twice := d.fates[n]; twice {
		d.w.t.Fatalf("submitted frame %d was %s, and then %s", n, was, what)
	}
	d.fates[n] = what
	d.lines = append(d.lines, fmt.Sprintf("%d %s", n, what))
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

func (w *world) writeLink(l *Link) {
	sink := w.sinks[l.index]
	if l.Conn == nil || sink.full {
		return
	}
	sink.lines = append(sink.lines, controls(w.t, w.core.NextControl(l))...)
	for {
		out := w.core.NextWrite(l)
		if len(out) == 0 {
			return
		}
		if len(out) > max(writeBytes, w.cfg.MaxFrame+protocol.HeaderSize) {
			w.t.Fatalf("one write of %d bytes", len(out))
		}
		r := protocol.NewFrameReader(strings.NewReader(string(out)), w.cfg.MaxFrame)
		for {
			body, err := r.Next()
			if err != nil {
				break
			}
			var s protocol.Scanned
			plain, err := protocol.NewInspector(w.cfg.MaxFrame).Inflate(body)
			if err != nil {
				w.t.Fatalf("link %d was written a frame that does not inflate: %v", l.index, err)
			}
			if err := protocol.Scan(plain, &s); err != nil {
				w.t.Fatalf("link %d was written a frame that is no packet: %v", l.index, err)
			}
			if sink.number++; sink.number > sink.told && sink.number > sink.acked+1 {
				w.t.Fatalf("link %d was written frame %d, its credit is %d", l.index, sink.number, sink.told)
			}
			sink.received = append(sink.received, string(s.PacketID))
		}
	}
}

func (w *world) writeSession(s *Session) {
	a, ok := s.Conn.(*fakeAgent)
	if !ok {
		return
	}
	if a.deaf { // as the loop does when the socket is full
		w.core.Unread(s)
		if !s.Closing() {
			return
		}
	}
	out := w.core.NextAnswers(s)
	w.hear(a, out)
	if s.Spoken() || a.deaf {
		a.closed = true
		a.lines = append(a.lines, "closed")
		w.core.SessionLost(s)
	}
}

// hear checks the rules that every answer obeys.
func (w *world) hear(a *fakeAgent, out []byte) {
	var m protocol.Control
	if len(out) > answerPiece+protocol.MaxControlFrame {
		w.t.Fatalf("%s was told %d bytes at once", a.name, len(out))
	}
	if len(a.cut) > 0 {
		out = append(a.cut, out...)
	}
	for len(out) >= protocol.HeaderSize {
		size := protocol.HeaderSize + int(protocol.FrameLength(out))
		if size > len(out) {
			break
		}
		if err := protocol.ParseControl(out[protocol.HeaderSize:size], &m); err != nil {
			w.t.Fatalf("%s was told a malformed frame: %v", a.name, err)
		}
		a.lines = append(a.lines, describe(&m))
		out = out[size:]
		switch m.Op {
		case protocol.OpAck:
			if m.N < a.upTo || m.N > a.sent {
				w.t.Fatalf("%s sent %d, was acknowledged %d after %d", a.name, a.sent, m.N, a.upTo)
			}
			if m.Frames < a.frames {
				w.t.Fatalf("%s: credit went back from %d to %d", a.name, a.frames, m.Frames)
			}
			a.upTo, a.frames = m.N, m.Frames
		case protocol.OpNack:
			for n := m.N; n < m.N+m.Count; n++ {
				if n <= a.upTo || n > a.sent {
					w.t.Fatalf("%s: NACK %d outside of (%d, %d]", a.name, n, a.upTo, a.sent)
				}
				if _, twice := a.nacked[n]; twice {
					w.t.Fatalf("%s: frame %d refused twice", a.name, n)
				}
				a.nacked[n] = protocol.NackCode(m.Code)
			}
		}
	}
	a.cut = append([]byte(nil), out...)
}

func describe(m *protocol.Control) string {
	switch m.Op {
	case protocol.OpHello:
		return "HELLO"
	case protocol.OpWelcome:
		return fmt.Sprintf("WELCOME frames=%d max_frame=%d", m.Welcome.Frames, m.Welcome.MaxFrame)
	case protocol.OpAck:
		return fmt.Sprintf("ACK %d credit=%d", m.N, m.Frames)
	case protocol.OpNack:
		return fmt.Sprintf("NACK %d..%d %v %q", m.N, m.N+m.Count-1, protocol.NackCode(m.Code), m.Text)
	case protocol.OpPing:
		return "PING"
	case protocol.OpPong:
		return fmt.Sprintf("PONG %x", m.Echo)
	case protocol.OpGoaway:
		return fmt.Sprintf("GOAWAY %v %q", protocol.GoawayCode(m.Code), m.Text)
	}
	return fmt.Sprintf("opcode %d", m.Op)
}

func controls(t tester, out []byte) (lines []string) {
	var m protocol.Control
	for len(out) > 0 {
		size := protocol.HeaderSize + int(protocol.FrameLength(out))
		if err := protocol.ParseControl(out[protocol.HeaderSize:size], &m); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, describe(&m))
		out = out[size:]
	}
	return lines
}

// packet makes a valid frame whose id names the agent and the number.
func packet(agent string, n uint64, size int) []byte {
	p := protocol.LogPacket{PacketID: fmt.Sprintf("%s/%d", agent, n), AgentID: agent,
		Messages: []protocol.LogMessage{{Level: protocol.LevelInfo, Source: "test", Message: strings.Repeat("x", size)}}}
	return protocol.AppendFrame(nil, protocol.AppendPacket(nil, &p))
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

// credit is what a sink tells next. WELCOME never offers less than the first credit.
func (w *world) credit(sink *fakeSink) (frames, bytes uint64) {
	if w.window == math.MaxUint64 {
		sink.told = math.MaxUint64
		return math.MaxUint64, math.MaxUint64
	}
	sink.told = max(sink.acked+w.window, protocol.FirstCreditFrames)
	return sink.told, 1 << 40
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
