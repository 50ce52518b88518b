package intake_test

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
	"sluice/server/intake"
	"sluice/server/pump"
	"sluice/server/route"
)

// world is a pump with analyzers that acknowledge when they are told to. It is the
// pump's host, and its links' transport; the test is the pump's thread.
type world struct {
	t     *testing.T
	core  *dispatch.Core
	pump  *pump.Pump
	now   time.Duration
	links []*link
	woken int
	later []func()
}

type link struct {
	conn    *pump.Conn
	written uint64
}

func (l *link) Write(p []byte) {
	for ; len(p) > 0; p = p[protocol.HeaderSize+int(protocol.FrameLength(p)):] {
		if !protocol.IsControl(p[protocol.HeaderSize]) {
			l.written++
		}
	}
}
func (l *link) Full() bool  { return false }
func (l *link) CloseWrite() {}
func (l *link) Close()      {}

func (w *world) Now() time.Duration              { return w.now }
func (w *world) FlushSoon() bool                 { return false }
func (w *world) ResumeSoon() bool                { return false }
func (w *world) SetPace(time.Duration)           {}
func (w *world) LinkChanged(dispatch.LinkEvent)  {}
func (w *world) WakeForMail() error              { w.woken++; return nil }
func (w *world) After(_ time.Duration, f func()) { w.later = append(w.later, f) }

func newWorld(t *testing.T, adjust func(*dispatch.Config), weights ...float64) *world {
	cfg := dispatch.Defaults()
	if adjust != nil {
		adjust(&cfg)
	}
	shared := dispatch.NewShared(cfg, len(weights))
	w := &world{t: t, core: dispatch.New(cfg, shared, len(weights)), now: time.Second}
	w.pump = pump.New(w.core, w)
	for i := range weights {
		l := &link{}
		l.conn = w.pump.AddLink(l, i)
		w.pump.Received(l.conn, protocol.AppendWelcome(nil, protocol.Welcome{Version: protocol.Version, Server: "far", Frames: 1 << 20,
			Bytes: math.MaxInt64, MaxFrame: cfg.MaxFrame, Compression: dispatch.Accepted}))
		w.links = append(w.links, l)
	}
	table, err := route.NewTable(weights)
	if err != nil {
		t.Fatal(err)
	}
	shared.Table.Store(table)
	return w
}

func (w *world) ackAll() {
	for _, l := range w.links {
		w.pump.Received(l.conn, protocol.AppendAck(nil, l.written, l.written+1<<20, math.MaxInt64))
	}
}

func batch(count int) (frames []byte) {
	for i := range count {
		frames = protocol.AppendFrame(frames, protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: fmt.Sprint(i), AgentID: "a"}))
	}
	return frames
}

// hears counts what it hears.
type hears struct {
	runs, frames int
	kept         int
}

func (h *hears) Settled(r intake.Run) {
	h.runs++
	h.frames += r.Count
	if r.Kept {
		h.kept += r.Count
	}
}

// A batch is one turn: it is dealt exactly by weight, and what became of it is told
// in runs, not frame by frame.
func TestABatchIsDealtAndSettledInRuns(t *testing.T) {
	w := newWorld(t, nil, 40, 30, 20, 10)
	s := w.pump.Intake().NewSource(netip.MustParseAddr("192.0.2.1"), nil)
	h := &hears{}
	frames := batch(100)
	if a := s.Submit(frames, 100, 0, h); a.Verdict != intake.Taken {
		t.Fatalf("%+v", a)
	}
	clear(frames) // borrowed until Submit returned
	if w.woken != 1 {
		t.Errorf("the loop was woken %d times", w.woken)
	}
	w.pump.ReadMail()
	for i, want := range []uint64{40, 30, 20, 10} {
		if got := w.links[i].written; got < want-4 || got > want+4 {
			t.Errorf("analyzer %d was written %d of 100, its weight says %d", i, got, want)
		}
	}
	w.ackAll()
	if h.frames != 100 || h.runs != 4 {
		t.Errorf("heard of %d frames in %d runs, want 100 in 4", h.frames, h.runs)
	}
	if n := w.core.Unsettled(); n != 0 {
		t.Errorf("%d are unsettled", n)
	}
	s.Close()
	w.pump.Tick()
	if queued, bytes := w.core.Shared().Queued(), w.core.Shared().Budget.Used(); queued != 0 || bytes > 4*(256<<10) {
		t.Errorf("%d places and %d bytes are taken", queued, bytes)
	}
}

// keeper is a folder of so many bytes.
type keeper struct{ room, kept int }

func (k *keeper) TryReserve(bytes int) bool {
	if bytes > k.room {
		return false
	}
	k.room -= bytes
	return true
}
func (k *keeper) Release(bytes int)            { k.room += bytes }
func (k *keeper) Put(frame []byte, final bool) { k.kept++ }

// A source whose frames the distributor answers for needs a place for each before
// it is taken; a place is given back with the delivery, and used otherwise.
func TestAPlaceIsReservedFirst(t *testing.T) {
	w := newWorld(t, nil, 1)
	frames := batch(10)
	k := &keeper{room: len(frames)}
	s := w.pump.Intake().NewSource(netip.Addr{}, k)
	h := &hears{}
	if a := s.Submit(frames, 10, 0, h); a.Verdict != intake.Taken {
		t.Fatalf("%+v", a)
	}
	if a := s.Submit(batch(1), 1, 0, nil); a.Verdict != intake.Wait || a.Reason == "" || a.RetryAfter == 0 {
		t.Errorf("without a place: %+v", a)
	}
	w.pump.ReadMail()
	w.ackAll()
	if k.room != len(frames) || k.kept != 0 || h.frames != 10 {
		t.Errorf("%d bytes are free of %d, %d kept, heard of %d", k.room, len(frames), k.kept, h.frames)
	}
	if a := s.Submit(frames, 10, 0, h); a.Verdict != intake.Taken {
		t.Fatalf("%+v", a)
	}
	w.pump.ReadMail()
	w.pump.Do(func(p *pump.Pump) { p.Core().DeadLetterAll() })
	if k.kept != 10 || h.kept != 10 {
		t.Errorf("%d frames are kept, heard of %d", k.kept, h.kept)
	}
}

// What takes a place of a queue that fills up does not linger in it.
func TestFramesDoNotLingerInAQueueThatFills(t *testing.T) {
	w := newWorld(t, func(c *dispatch.Config) { c.MaxQueueFrames = 8 }, 1)
	s := w.pump.Intake().NewSource(netip.Addr{}, nil)
	for range 2 {
		s.Submit(batch(1), 1, 0, nil)
	}
	w.pump.ReadMail() // a turn of several: the next may wait for more
	w.woken = 0
	s.Submit(batch(1), 1, 0, nil)
	if w.woken != 0 || len(w.later) != 1 {
		t.Fatalf("the loop was woken %d times, %d timers are set", w.woken, len(w.later))
	}
	for range 3 {
		s.Submit(batch(1), 1, 0, nil)
	}
	if w.woken != 1 {
		t.Errorf("half of the places are taken, and the loop was woken %d times", w.woken)
	}
	w.later[0]() // finds the loop woken already
	if w.woken != 1 {
		t.Errorf("the loop was woken %d times", w.woken)
	}
}

// When the queue is full, a sender is told to wait, and when; after a drain it is
// refused.
func TestVerdicts(t *testing.T) {
	w := newWorld(t, func(c *dispatch.Config) { c.MaxQueueFrames = 2 })
	s := w.pump.Intake().NewSource(netip.Addr{}, nil)
	s.Submit(batch(2), 2, 0, nil)
	if a := s.Submit(batch(1), 1, 0, nil); a.Verdict != intake.Wait || a.Code != protocol.NackBusy || a.RetryAfter == 0 {
		t.Errorf("full: %+v", a)
	}
	w = newWorld(t, nil, 1)
	s = w.pump.Intake().NewSource(netip.Addr{}, nil)
	w.pump.Drain()
	if a := s.Submit(batch(1), 1, 0, nil); a.Verdict != intake.Refused || a.Code != protocol.NackDraining {
		t.Errorf("draining: %+v", a)
	}
}

// A party lives as long as it holds anything, also when its connections are gone.
func TestPartiesOutliveTheirSources(t *testing.T) {
	w := newWorld(t, nil, 1)
	from := netip.MustParseAddr("2001:db8::1")
	s := w.pump.Intake().NewSource(from, nil)
	s.Submit(batch(3), 3, 0, nil)
	w.pump.ReadMail()
	s.Close()
	w.pump.Tick()
	if n := w.core.Unsettled(); n != 3 {
		t.Fatalf("%d are unsettled", n)
	}
	same := netip.MustParseAddr("2001:db8::2") // of the same /64
	if dispatch.PartyAddr(from) != dispatch.PartyAddr(same) || dispatch.PartyAddr(from) == dispatch.PartyAddr(netip.MustParseAddr("2001:db8:1::2")) {
		t.Error("one IPv6 /64 is one party")
	}
	w.ackAll()
	if n := w.core.Unsettled(); n != 0 {
		t.Errorf("%d are unsettled", n)
	}
}

// A source whose user has closed it is let go of also when something lies in the
// mail at every tick, as under load.
func TestSourcesAreLetGoOfUnderLoad(t *testing.T) {
	w := newWorld(t, nil, 1)
	s, others := w.pump.Intake().NewSource(netip.Addr{}, nil), w.pump.Intake().NewSource(netip.Addr{}, nil)
	s.Submit(batch(1), 1, 0, nil)
	w.pump.ReadMail()
	others.Submit(batch(1), 1, 0, nil)
	s.Close()
	w.pump.Tick()
	w.pump.ReadMail()
	others.Submit(batch(1), 1, 0, nil)
	w.pump.Tick()
	w.pump.Received(w.links[0].conn, protocol.AppendNack(nil, 1, protocol.NackInvalid, 0, "", 1))
	var n dispatch.Counters
	w.pump.Snapshot(&n)
	if n.Abandoned != 1 { // its sender is gone
		t.Errorf("a source that was closed is still there: %+v", n)
	}
}

// A source that was closed takes nothing: its place in the core may be somebody
// else's by then.
func TestAClosedSourceTakesNothing(t *testing.T) {
	w := newWorld(t, nil, 1)
	s := w.pump.Intake().NewSource(netip.Addr{}, nil)
	h := &hears{}
	s.Submit(batch(2), 2, 0, h)
	s.Close()
	if a := s.Submit(batch(1), 1, 0, nil); a.Verdict != intake.Refused || a.Code != protocol.NackDraining {
		t.Errorf("%+v", a)
	}
	w.pump.ReadMail()
	w.pump.Tick()
	w.ackAll()
	if h.frames != 2 || w.core.Unsettled() != 0 {
		t.Errorf("heard of %d frames, %d are unsettled", h.frames, w.core.Unsettled())
	}
	if queued := w.core.Shared().Queued(); queued != 0 {
		t.Errorf("%d places are taken", queued)
	}
}
