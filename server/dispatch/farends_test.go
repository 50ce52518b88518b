package dispatch_test

import (
	"fmt"
	"math"
	"strings"

	"sluice/protocol"
	"sluice/server/dispatch"
	"sluice/server/pump"
)

// fakeAgent is the far end of an agent's connection, and its transport.
type fakeAgent struct {
	w      *world
	name   string
	conn   *pump.Conn
	sent   uint64
	upTo   uint64
	frames uint64 // credit told
	nacked map[uint64]protocol.NackCode
	lines  []string
	cut    []byte // of an answer whose rest is in the next piece
	deaf   bool   // does not read: answers stay in the core, until it is hung up on
	closed bool
}

func (a *fakeAgent) source() *dispatch.Source { return a.conn.Agent().Source() }

func (a *fakeAgent) Write(p []byte) { a.w.hear(a, p) }

func (a *fakeAgent) Full() bool { return a.deaf && !a.conn.Agent().Closing() }

func (a *fakeAgent) CloseWrite() {
	a.closed = true
	a.lines = append(a.lines, "closed")
	a.w.pump.Closed(a.conn, "")
}

func (a *fakeAgent) Close() {
	a.closed = true
	a.w.pump.Closed(a.conn, "")
}

// fakeSink is the far end of a link, and its transport.
type fakeSink struct {
	w        *world
	conn     *pump.Conn
	open     bool
	number   uint64   // data frames received on this connection
	acked    uint64   // and acknowledged
	told     uint64   // credit: frames
	received []string // packet ids over all connections, in order
	full     bool     // the socket takes nothing
	reached  uint64   // bytes of ours that its kernel has
	transit  int      // bytes that it has not
	lines    []string
}

func (s *fakeSink) Full() bool  { return s.full }
func (s *fakeSink) CloseWrite() {}

func (s *fakeSink) Reached() (uint64, int, bool) { return s.reached, s.transit, true }
func (s *fakeSink) Close() {
	s.open = false
	s.w.pump.Closed(s.conn, "closed")
}

func (s *fakeSink) Write(p []byte) {
	w := s.w
	if len(p) > max(dispatch.WriteBytes, w.cfg.MaxFrame+protocol.HeaderSize) {
		w.t.Fatalf("one write of %d bytes", len(p))
	}
	r := protocol.NewFrameReader(strings.NewReader(string(p)), w.cfg.MaxFrame)
	for {
		body, err := r.Next()
		if err != nil {
			return
		}
		if protocol.IsControl(body[0]) {
			var m protocol.Control
			if err := protocol.ParseControl(body, &m); err != nil {
				w.t.Fatal(err)
			}
			s.lines = append(s.lines, describe(&m))
			continue
		}
		var scanned protocol.Scanned
		plain, err := protocol.NewInspector(w.cfg.MaxFrame).Inflate(body)
		if err != nil {
			w.t.Fatalf("an analyzer was written a frame that does not inflate: %v", err)
		}
		if err := protocol.Scan(plain, &scanned); err != nil {
			w.t.Fatalf("an analyzer was written a frame that is no packet: %v", err)
		}
		if s.number++; s.number > s.told && s.number > s.acked+1 {
			w.t.Fatalf("an analyzer was written frame %d, its credit is %d", s.number, s.told)
		}
		s.received = append(s.received, string(scanned.PacketID))
	}
}

// fakeDesk is the owner of a source that we answer for, as an intake is.
type fakeDesk struct {
	w      *world
	source *dispatch.Source
	sent   int
	fates  map[uint64]string
	lines  []string
}

func (d *fakeDesk) Delivered(first, count uint64, analyzer, bytes int) {
	if bytes <= int(count)*protocol.HeaderSize {
		d.w.t.Fatalf("%d frames of %d bytes were delivered", count, bytes)
	}
	for n := first; n < first+count; n++ {
		d.fate(n, fmt.Sprintf("delivered to %d", analyzer))
	}
}

func (d *fakeDesk) Refused(r *dispatch.Refusal) {
	var s protocol.Scanned
	if err := protocol.Scan(r.Frame[protocol.HeaderSize:], &s); err != nil || int(protocol.FrameLength(r.Frame)) != len(r.Frame)-protocol.HeaderSize {
		d.w.t.Fatalf("the dead letter of frame %d is no packet: %v", r.Number, err)
	}
	d.fate(r.Number, fmt.Sprintf("dead letter %s (%v)", s.PacketID, r.Code))
}

// fate checks that each frame has one.
func (d *fakeDesk) fate(n uint64, what string) {
	if was, twice := d.fates[n]; twice {
		d.w.t.Fatalf("submitted frame %d was %s, and then %s", n, was, what)
	}
	d.fates[n] = what
	d.lines = append(d.lines, fmt.Sprintf("%d %s", n, what))
}

// hear checks the rules that every answer obeys.
func (w *world) hear(a *fakeAgent, out []byte) {
	var m protocol.Control
	if len(out) > 20<<10 {
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

// packet makes a valid frame whose id names the agent and the number.
func packet(agent string, n uint64, size int) []byte {
	p := protocol.LogPacket{PacketID: fmt.Sprintf("%s/%d", agent, n), AgentID: agent,
		Messages: []protocol.LogMessage{{Level: protocol.LevelInfo, Source: "test", Message: strings.Repeat("x", size)}}}
	return protocol.AppendFrame(nil, protocol.AppendPacket(nil, &p))
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
