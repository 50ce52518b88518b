package walk

import (
	"bytes"
	"math"
	"testing"
	"time"

	"sluice/protocol"

	"github.com/vmihailenco/msgpack/v5"
)

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRead(t *testing.T) {
	long := string(bytes.Repeat([]byte("x"), 70000))
	for _, c := range []struct {
		name string
		in   any
		want Value
	}{
		{"nil", nil, Value{}},
		{"true", true, Value{Kind: Bool, Bits: 1}},
		{"small", int8(-5), Value{Kind: Int, Bits: uint64(math.MaxUint64 - 4)}},
		{"negative 16", int16(-300), Value{Kind: Int, Bits: uint64(math.MaxUint64 - 299)}},
		{"negative 64", int64(math.MinInt64), Value{Kind: Int, Bits: 1 << 63}},
		{"uint 8", uint8(200), Value{Kind: Int, Bits: 200}},
		{"uint 64", uint64(math.MaxUint64), Value{Kind: Uint, Bits: math.MaxUint64}},
		{"float 32", float32(1.5), Value{Kind: Float, Bits: math.Float64bits(1.5)}},
		{"float 64", 2.25, Value{Kind: Float, Bits: math.Float64bits(2.25)}},
		{"str", "abc", Value{Kind: Str, Data: []byte("abc")}},
		{"str 8", long[:200], Value{Kind: Str, Data: []byte(long[:200])}},
		{"str 16", long[:300], Value{Kind: Str, Data: []byte(long[:300])}},
		{"str 32", long, Value{Kind: Str, Data: []byte(long)}},
		{"bin", []byte("abc"), Value{Kind: Bin, Data: []byte("abc")}},
	} {
		b := encode(t, c.in)
		var v Value
		if at := Read(b, 0, &v); at != len(b) || v.Kind != c.want.Kind || v.Bits != c.want.Bits || !bytes.Equal(v.Data, c.want.Data) {
			t.Errorf("%s: %+v, next %d of %d", c.name, v, at, len(b))
		}
		for cut := range min(len(b), 5) {
			if at := Read(b[:cut], 0, &v); at >= 0 {
				t.Errorf("%s cut to %d bytes reads to %d", c.name, cut, at)
			}
		}
	}
}

func TestSkipGoesPastNestedValues(t *testing.T) {
	b := encode(t, map[string]any{"a": []any{1, "two", map[string]any{"x": nil}}, "b": 2.5})
	if at := Skip(append(b, 0xc0), 0); at != len(b) {
		t.Errorf("%d, want %d", at, len(b))
	}
	if at := Skip(b[:len(b)-1], 0); at != -1 {
		t.Errorf("cut: %d", at)
	}
}

func TestMessagesAgreeWithADecode(t *testing.T) {
	when := time.Date(2026, 2, 3, 4, 5, 6, 789000000, time.UTC)
	p := protocol.LogPacket{PacketID: "p", AgentID: "a", Messages: []protocol.LogMessage{
		{Timestamp: protocol.Timestamp{Time: when}, Level: "ERROR", Source: "s1", Message: "one", Metadata: map[string]any{"k": []any{1, 2}}},
		{Timestamp: protocol.Timestamp{Time: when}, Level: "odd", Source: "", Message: ""},
	}}
	body := protocol.AppendPacket(nil, &p)
	w, m, n := Over(body), Message{}, 0
	for w.Next(&m) {
		want := p.Messages[n]
		if string(m.Level) != string(want.Level) || string(m.Source) != want.Source || string(m.Text) != want.Message || (m.Metadata == nil) != (want.Metadata == nil) {
			t.Errorf("message %d: %+v", n, m)
		}
		if got, ok := m.Timestamp.Time(); !ok || !got.Equal(when) {
			t.Errorf("message %d: %v, %v", n, got, ok)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		in   any
		want string // empty: no time
	}{
		{"2026-02-03T04:05:06.5+01:00", "2026-02-03T03:05:06.5Z"},
		{"yesterday", ""},
		{"9999-12-31T23:59:59-01:00", ""},
		{int64(0), "1970-01-01T00:00:00Z"},
		{int64(math.MaxInt64), ""},
		{1.5, "1970-01-01T00:00:01.5Z"},
		{math.NaN(), ""},
		{math.Inf(1), ""},
		{1e300, ""},
		{time.Unix(1, 0), "1970-01-01T00:00:01Z"},
		{time.Unix(1, 5), "1970-01-01T00:00:01.000000005Z"},
		{time.Unix(-1, 5), "1969-12-31T23:59:59.000000005Z"},
		{nil, ""},
	} {
		var v Value
		Read(encode(t, c.in), 0, &v)
		got, ok := v.Time()
		if ok != (c.want != "") || ok && got.UTC().Format(time.RFC3339Nano) != c.want {
			t.Errorf("%v: %v, %v; want %q", c.in, got, ok, c.want)
		}
	}
}

// Bytes that passed no scan end the walk, wherever they are cut or wrong.
func FuzzWalk(f *testing.F) {
	f.Add(protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "p", AgentID: "a",
		Messages: []protocol.LogMessage{{Level: "INFO", Source: "s", Message: "m", Metadata: map[string]any{"a": 1.5}}}}))
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		var s protocol.Scanned
		valid := protocol.Scan(body, &s) == nil
		w, m, n := Over(body), Message{}, 0
		for w.Next(&m) {
			n++
			m.Timestamp.Time()
		}
		if valid && n != s.Messages {
			t.Fatalf("%d messages, the scan says %d", n, s.Messages)
		}
	})
}

func TestWalkDoesNotAllocate(t *testing.T) {
	body := protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "p", AgentID: "a",
		Messages: make([]protocol.LogMessage, 10)})
	if n := testing.AllocsPerRun(100, func() {
		w, m := Over(body), Message{}
		for w.Next(&m) {
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
