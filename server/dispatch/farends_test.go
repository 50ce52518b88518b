package dispatch

import (
	"fmt"
	"math"
	"strings"

	"sluice/protocol"
)

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

// credit is what a sink tells next. WELCOME never offers less than the first credit.
func (w *world) credit(sink *fakeSink) (frames, bytes uint64) {
	if w.window == math.MaxUint64 {
		sink.told = math.MaxUint64
		return math.MaxUint64, math.MaxUint64
	}
	sink.told = max(sink.acked+w.window, protocol.FirstCreditFrames)
	return sink.told, 1 << 40
}
