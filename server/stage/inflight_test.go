package stage

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/protocol"
)

// modelFrame is one frame as a list of them would hold it.
type modelFrame struct {
	source   uint32
	number   uint64
	frame    []byte
	answered bool
}

// inFlightModel is the window as a plain list, beside the real one.
type inFlightModel struct {
	t      *rapid.T
	budget Budget
	pool   *Pool
	hold   Hold
	real   InFlight

	maxFrames, maxBytes int
	list                []modelFrame
	written             int
	acked               uint64
	next                map[uint32]uint64 // number of each source's next frame
	stream              []byte            // what was written and is not acknowledged
	got                 []string          // what an ACK settled
	trips               uint64
}

func (m *inFlightModel) live() (frames, bytes int) {
	for _, f := range m.list {
		if !f.answered {
			frames++
			bytes += len(f.frame)
		}
	}
	return frames, bytes
}

func (m *inFlightModel) Acked(r Run) {
	for n := r.Number; n < r.Number+r.Count; n++ {
		m.got = append(m.got, fmt.Sprintf("%d/%d", r.Source, n))
	}
}

func (m *inFlightModel) RoundTrip(d time.Duration, count uint64, whole bool) { m.trips += count }

func frameOf(source uint32, number uint64, size int) []byte {
	return protocol.AppendFrame(nil, append(fmt.Appendf(nil, "%d/%d ", source, number), bytes.Repeat([]byte{'x'}, size)...))
}

// TestInFlight holds the window against the list after any history.
func TestInFlight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &inFlightModel{t: t, next: map[uint32]uint64{}}
		m.budget.SetLimit(rapid.SampledFrom([]int64{ChunkBytes, 3 * ChunkBytes, 1 << 30}).Draw(t, "budget"))
		m.pool = NewPool(&m.budget)
		m.hold = NewHold(m.pool)
		m.maxFrames = rapid.SampledFrom([]int{1, 5, 1000}).Draw(t, "frames")
		m.maxBytes = rapid.SampledFrom([]int{2000, 1 << 20}).Draw(t, "bytes")
		m.real = NewInFlight(m.pool, m.maxFrames, m.maxBytes)
		m.real.Open()
		m.real.Raise(1<<40, 1<<40)
		t.Repeat(map[string]func(*rapid.T){
			"append": m.append,
			"span":   m.span,
			"write":  m.write,
			"ack":    m.ack,
			"false ack": func(t *rapid.T) {
				if _, ok := m.real.Ack(m.acked+uint64(m.written)+1, 0, m); ok {
					t.Fatal("a frame that was never written was acknowledged")
				}
			},
			"nack": m.nack,
			"take unwritten": func(t *rapid.T) {
				e, ok := m.real.TakeUnwritten()
				if ok != (len(m.list) > m.written) {
					t.Fatalf("took one: %v, %d of %d are written", ok, m.written, len(m.list))
				}
				if ok {
					m.gone(e, len(m.list)-1)
					m.list = m.list[:len(m.list)-1]
				}
			},
			"lose": m.lose,
			"":     m.check,
		})
		m.lose(t)
		m.check(t)
		m.hold.close()
		if used := m.budget.Used(); used != 0 {
			t.Fatalf("%d bytes are charged for nothing", used)
		}
	})
}

func (m *inFlightModel) draw(t *rapid.T) (source uint32, number uint64, frame []byte) {
	source = uint32(rapid.IntRange(0, 2).Draw(t, "source"))
	m.next[source]++
	number = m.next[source]
	return source, number, frameOf(source, number, rapid.IntRange(0, 900).Draw(t, "size"))
}

func (m *inFlightModel) append(t *rapid.T) {
	source, number, frame := m.draw(t)
	frames, bytes := len(m.list), 0
	_, bytes = m.live()
	if fits := frames < m.maxFrames && bytes+len(frame) <= m.maxBytes; fits != m.real.Fits(len(frame)) {
		t.Fatalf("fits: %v, want %v", !fits, fits)
	} else if !fits {
		return
	}
	e := Entry{Number: number, Source: source}
	if rapid.Bool().Draw(t, "waited") { // its bytes lie elsewhere, and stay there
		var places Places
		q := NewWaitQueue(&places)
		if !m.hold.TryAppend(&q, frame, e, false, true) {
			t.Fatal("not copied, and it had to be")
		}
		m.real.Adopt(q.Pop())
	} else if !m.real.TryAppend(frame, e) {
		if m.budget.Limit() > 3*ChunkBytes {
			t.Fatal("no room in the budget")
		}
		return
	}
	m.list = append(m.list, modelFrame{source: source, number: number, frame: frame})
}

func (m *inFlightModel) span(t *rapid.T) {
	source := uint32(rapid.IntRange(0, 2).Draw(t, "source"))
	first := m.next[source] + 1
	var data []byte
	var sizes []uint32
	var frames [][]byte
	for i := range rapid.IntRange(1, 30).Draw(t, "count") {
		frame := frameOf(source, first+uint64(i), rapid.IntRange(0, 900).Draw(t, "size"))
		data, sizes, frames = append(data, frame...), append(sizes, uint32(len(frame))), append(frames, frame)
	}
	n, bytes := m.real.TryAppendSpan(data, sizes, source, first, 7)
	sum := 0
	for _, frame := range frames[:n] {
		m.next[source]++
		m.list = append(m.list, modelFrame{source: source, number: m.next[source], frame: frame})
		sum += len(frame)
	}
	if sum != bytes {
		t.Fatalf("%d frames of %d bytes are said to have %d", n, sum, bytes)
	}
}

func (m *inFlightModel) write(t *rapid.T) {
	limit := rapid.IntRange(0, 40).Draw(t, "limit")
	out := m.real.NextWrite(limit, 1000, time.Second)
	if len(out) == 0 {
		if m.written < min(limit, len(m.list)) {
			t.Fatalf("nothing to write, of %d frames %d are written", len(m.list), m.written)
		}
		return
	}
	m.stream = append(m.stream, out...)
	for len(out) > 0 {
		f := m.list[m.written].frame
		if !bytes.HasPrefix(out, f) {
			t.Fatalf("frame %d is written as %q", m.written, out[:min(len(out), 40)])
		}
		out = out[len(f):]
		m.written++
	}
	if m.written > limit {
		t.Fatalf("%d are written, the limit is %d", m.written, limit)
	}
}

func (m *inFlightModel) ack(t *rapid.T) {
	k := rapid.IntRange(0, m.written).Draw(t, "count")
	m.got, m.trips = nil, 0
	count, ok := m.real.Ack(m.acked+uint64(k), 2*time.Second, m)
	if !ok || count != k || m.trips != uint64(k) {
		t.Fatalf("acknowledged %d: %v, %d, times of %d", k, ok, count, m.trips)
	}
	var want []string
	for _, f := range m.list[:k] {
		if !f.answered {
			want = append(want, fmt.Sprintf("%d/%d", f.source, f.number))
		}
	}
	if fmt.Sprint(m.got) != fmt.Sprint(want) {
		t.Fatalf("settled %v, want %v", m.got, want)
	}
	m.list, m.written, m.acked = m.list[k:], m.written-k, m.acked+uint64(k)
}

func (m *inFlightModel) nack(t *rapid.T) {
	if m.written == 0 {
		return
	}
	i := rapid.IntRange(0, m.written-1).Draw(t, "which")
	n := m.acked + 1 + uint64(i)
	if !m.real.Wrote(n, uint64(m.written-i)) || m.real.Wrote(n, uint64(m.written-i)+1) {
		t.Fatal("what was written is not known")
	}
	e, ok := m.real.TakeWritten(n)
	if ok == m.list[i].answered {
		t.Fatalf("took frame %d: %v", n, ok)
	}
	if ok {
		m.gone(e, i)
		m.list[i].answered = true
	}
}

// gone checks an entry that was taken out, and releases its bytes.
func (m *inFlightModel) gone(e Entry, i int) {
	f := m.list[i]
	if e.Source != f.source || e.Number != f.number || !bytes.Equal(m.pool.Frame(&e), f.frame) {
		m.t.Fatalf("took %d/%d, want %d/%d", e.Source, e.Number, f.source, f.number)
	}
	m.pool.Release(&e)
}

// lose ends the connection: everything without an answer comes back, last first.
func (m *inFlightModel) lose(t *rapid.T) {
	for i := len(m.list) - 1; i >= 0; i-- {
		if m.list[i].answered {
			continue
		}
		e, written, ok := m.real.TakeLast()
		if !ok || written != (i < m.written) {
			t.Fatalf("frame %d of %d: %v, written %v, %d are", i, len(m.list), ok, written, m.written)
		}
		m.gone(e, i)
	}
	if _, _, ok := m.real.TakeLast(); ok {
		t.Fatal("more came back than there was")
	}
	m.real.Close()
	m.real.Open()
	m.real.Raise(1<<40, 1<<40)
	m.list, m.written, m.acked = nil, 0, 0
}

func (m *inFlightModel) check(t *rapid.T) {
	frames, bytes := m.live()
	if r := &m.real; r.Live() != frames || r.Bytes() != bytes || r.Len() != len(m.list) || r.Written() != m.written || r.Acked() != m.acked {
		t.Fatalf("live %d, bytes %d, len %d, written %d, acked %d; want %d, %d, %d, %d, %d",
			r.Live(), r.Bytes(), r.Len(), r.Written(), r.Acked(), frames, bytes, len(m.list), m.written, m.acked)
	}
}

// A NACK that names everything ever acknowledged is judged in one step.
func TestWroteIsCheap(t *testing.T) {
	f := NewInFlight(NewPool(new(Budget)), 1, 1)
	f.acked = 1 << 62
	if !f.Wrote(1, 1<<62) || f.Wrote(1, 1<<62+1) || f.Wrote(0, 1) || f.Wrote(1<<62+2, 1) {
		t.Error("what was written is not known")
	}
}
