package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"sluice/protocol"
)

func at(year int, nanos int) protocol.Timestamp {
	return protocol.Timestamp{Time: time.Date(year, 3, 4, 5, 6, 7, nanos, time.UTC)}
}

func TestPacketRoundTrip(t *testing.T) {
	long := strings.Repeat("é", 40_000) // str 32
	want := protocol.LogPacket{
		PacketID: strings.Repeat("p", 256), AgentID: strings.Repeat("a", 40),
		Messages: []protocol.LogMessage{
			{Timestamp: at(2026, 0), Level: protocol.LevelDebug, Source: "s", Message: long},
			{Timestamp: at(2026, 1), Level: "NOTICE", Source: strings.Repeat("s", 300)},
			{Timestamp: at(1600, 999_999_999), Level: protocol.LevelCritical, Metadata: map[string]any{}},
			{Timestamp: at(9999, 5)},
			{Timestamp: protocol.Timestamp{}, Metadata: map[string]any{
				"nil": nil, "true": true, "false": false, "": "empty key",
				"i0": int64(0), "i127": int64(127), "i128": int64(128), "i-32": int64(-32), "i-33": int64(-33),
				"i-129": int64(-129), "i-40000": int64(-40000), "imin": int64(math.MinInt64), "imax": int64(math.MaxInt64),
				"umax": uint64(math.MaxUint64), "f32": float32(1.5), "f64": math.Inf(-1), "i32": int64(1 << 31), "i16": int64(70000),
				"bin": []byte{1, 2}, "bin16": bytes.Repeat([]byte{7}, 300), "bin32": bytes.Repeat([]byte{7}, 70_000),
				"list": []any{int64(1), "two", []any{}, map[string]any{"k": nil}}, "wide": make([]any, 70_000),
				"time": at(2026, 3).Time, "ext": protocol.Ext{Type: 42, Data: []byte{1, 2, 3}}, "ext8": protocol.Ext{Type: -1, Data: make([]byte, 5)},
				"ext16": protocol.Ext{Type: 1, Data: make([]byte, 300)}, "ext32": protocol.Ext{Type: 1, Data: make([]byte, 70_000)}, "fix": protocol.Ext{Type: 7, Data: make([]byte, 16)},
			}},
		},
	}
	body := protocol.AppendPacket(nil, &want)
	var got protocol.LogPacket
	if err := protocol.DecodePacket(body, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %.2000v\nwant %.2000v", got, want)
	}
	// Nothing of the body is kept.
	for i := range body {
		body[i] = 0xc1
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("the packet changed with the body")
	}
	for range 20 { // maps are in random order, bodies are not
		if again := protocol.AppendPacket(nil, &want); !bytes.Equal(again, protocol.AppendPacket(nil, &got)) {
			t.Fatal("the same packet gave different bytes")
		}
	}
}

// More messages than fit one byte, and than fit two.
func TestPacketOfManyMessages(t *testing.T) {
	for _, n := range []int{0, 15, 16, 65535, 65536} {
		want := protocol.LogPacket{PacketID: "p", AgentID: "a", Messages: make([]protocol.LogMessage, n)}
		var s protocol.Scanned
		body := protocol.AppendPacket(nil, &want)
		if err := protocol.Scan(body, &s); err != nil || s.Messages != n {
			t.Errorf("%d messages: %d, %v", n, s.Messages, err)
		}
	}
}

// msgpack/v5 and our encoder write for each other.
func TestPacketOfTheLibrary(t *testing.T) {
	body, err := msgpack.Marshal(&goldenPacket)
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs protocol.LogPacket
	if err := protocol.DecodePacket(body, &ours); err != nil {
		t.Fatal(err)
	}
	if err := msgpack.Unmarshal(golden(t, "packet")[4:], &theirs); err != nil {
		t.Fatal(err)
	}
	for _, p := range []protocol.LogPacket{ours, theirs} {
		if got := protocol.AppendPacket(nil, &p); !bytes.Equal(got, golden(t, "packet")[4:]) {
			t.Errorf("%+v", p)
		}
	}
}

func TestTimestampsAsTheWireHasThem(t *testing.T) {
	utc := func(sec, nsec int64) time.Time { return time.Unix(sec, nsec).UTC() }
	for name, tc := range map[string]struct {
		wire string
		want time.Time
	}{
		"ext 32":             {"\xd6\xff\xff\xff\xff\xff", utc(1<<32-1, 0)},
		"ext 64":             {"\xd7\xff\x00\x00\x00\x04\x00\x00\x00\x02", utc(2, 1)},
		"ext 96":             {"\xc7\x0c\xff\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff", utc(-1, 1)},
		"ext 96 in ext 32":   {"\xc9\x00\x00\x00\x0c\xff\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01", utc(1, 1)},
		"ext 96 far away":    {"\xc7\x0c\xff\x00\x00\x00\x01\x7f\xff\xff\xff\xff\xff\xff\xff", time.Time{}},
		"RFC 3339":           {"\xb42026-01-02T03:04:05Z", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		"with a fraction":    {"\xb62026-01-02T03:04:05.5Z", time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.UTC)},
		"with a zone":        {"\xb92026-01-02T03:04:05+01:00", time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)},
		"no time":            {"\xa3now", time.Time{}},
		"a date":             {"\xaa2026-01-02", time.Time{}},
		"empty":              {"\xa0", time.Time{}},
		"int":                {"\xce\x69\x57\x35\xa5", utc(1767323045, 0)},
		"negative":           {"\xff", utc(-1, 0)},
		"int 64 far away":    {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", time.Time{}},
		"uint 64 far away":   {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", time.Time{}},
		"int of year 10000":  {"\xcf\x00\x00\x00\x3a\xff\xf4\x41\x80", time.Time{}},
		"float":              {"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", utc(1, 5e8)},
		"float 32":           {"\xca\x3f\xc0\x00\x00", utc(1, 5e8)},
		"negative float":     {"\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00", utc(-2, 5e8)},
		"NaN":                {"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01", time.Time{}},
		"infinity":           {"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", time.Time{}},
		"float 32 infinity":  {"\xca\xff\x80\x00\x00", time.Time{}},
		"float to round":     {"\xcb\x3f\xf0\x00\x00\x00\x29\x8c\xb0", utc(1, 1)}, // 1.0000000006
		"negative, to round": {"\xcb\xbc\x00\x00\x00\x00\x00\x00\x00", utc(0, 0)},
		"float of year 9999": {"\xcb\x42\x4d\x7f\xfa\x20\xbf\xe0\x00", utc(253402300799, 75e7)},
		"float of 10000":     {"\xcb\x42\x4d\x7f\xfa\x20\xc0\x00\x00", time.Time{}},
		"int of 1970":        {"\x00", utc(0, 0)},
		"ext 64 of 1970":     {"\xd7\xff\x00\x00\x00\x00\x00\x00\x00\x00", utc(0, 0)},
		"last nanosecond":    {"\xd7\xff\xee\x6b\x27\xfc\x00\x00\x00\x00", utc(0, 999999999)},
		"nanoseconds beyond": {"\xd7\xff\xee\x6b\x28\x00\x00\x00\x00\x00", time.Time{}},
		"ext 96 beyond":      {"\xc7\x0c\xff\x3b\x9a\xca\x00\x00\x00\x00\x00\x00\x00\x00\x01", time.Time{}},
		"Go's zero time":     {"\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xf1\x88\x6e\x09\x00", time.Time{}},
		"and as RFC 3339":    {"\xb40001-01-01T00:00:00Z", time.Time{}},
		"year 0":             {"\xb40000-01-01T00:00:00Z", time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)},
		"before year 0":      {"\xb90000-01-01T00:00:00+01:00", time.Time{}},
		"after 9999":         {"\xb99999-12-31T23:59:59-01:00", time.Time{}},
	} {
		var p protocol.LogPacket
		if err := protocol.DecodePacket([]byte(withTime(tc.wire)), &p); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := p.Messages[0].Timestamp
		if !got.Equal(tc.want) || got.IsZero() != tc.want.IsZero() {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
		v, m := protocol.NewView([]byte(withTime(tc.wire))), protocol.Message{}
		if !v.Next(&m) || m.Timestamp() != got {
			t.Errorf("%s: %v by the view, %v decoded", name, m.Timestamp(), got)
		}
		var byLibrary protocol.Timestamp
		if err := msgpack.Unmarshal([]byte(tc.wire), &byLibrary); err != nil || byLibrary != got {
			t.Errorf("%s: %v by msgpack/v5, %v decoded, %v", name, byLibrary, got, err)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimestampOfAnotherTypeIsRefused(t *testing.T) {
	for _, wire := range []string{"\x90", "\xc3", "\xc4\x00", "\xd4\xff\x00", "\xd6\x01\x00\x00\x00\x00"} {
		var got protocol.Timestamp
		var ie *protocol.InvalidError
		if err := msgpack.Unmarshal([]byte(wire), &got); !errors.As(err, &ie) || ie.Reason != protocol.ReasonType {
			t.Errorf("%x: %v, %v", wire, got, err)
		}
	}
}

func TestMetadataOfOtherTypes(t *testing.T) {
	type named struct {
		A int
	}
	deep := any("bottom")
	for range 100 {
		deep = []any{deep}
	}
	p := protocol.LogPacket{PacketID: "p", AgentID: "a", Messages: []protocol.LogMessage{{Metadata: map[string]any{
		"int8": int8(-5), "uint16": uint16(5), "uint8": uint8(200), "int16": int16(-300), "int32": int32(70_000), "uint32": uint32(1 << 31),
		"strings": []string{"x"}, "struct": named{7}, "typed": map[string]int{"b": 2, "a": 1},
		"func": func() {}, "duration": time.Second, "time": protocol.Timestamp{Time: time.Unix(9, 0).UTC()},
	}}}}
	var got protocol.LogPacket
	if err := protocol.DecodePacket(protocol.AppendPacket(nil, &p), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"int8": int64(-5), "uint16": int64(5), "uint8": int64(200), "int16": int64(-300), "int32": int64(70_000), "uint32": int64(1 << 31),
		"strings": []any{"x"}, "struct": map[string]any{"A": int64(7)}, "typed": map[string]any{"a": int64(1), "b": int64(2)},
		"duration": int64(time.Second), "time": time.Unix(9, 0).UTC(),
	} {
		if v := got.Messages[0].Metadata[key]; !reflect.DeepEqual(v, want) {
			t.Errorf("%s: %#v, want %#v", key, v, want)
		}
	}
	// Too deep a value is refused by the scan, and ends the encoder.
	p.Messages[0].Metadata = map[string]any{"deep": deep}
	var s protocol.Scanned
	if err := protocol.Scan(protocol.AppendPacket(nil, &p), &s); err == nil {
		t.Error("a value nested 100 deep was accepted")
	}
}

func TestKeysThatAreNoStringsBecomeText(t *testing.T) {
	var p protocol.LogPacket
	body := withMeta("\x81\xa1k\x86\x01\xa3int\xc0\xa3nil\xc4\x01b\xa3bin\x90\xa4list\xc3\xa4bool\xd4\x05\x01\xa3ext")
	if err := protocol.DecodePacket([]byte(body), &p); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"k": map[string]any{"1": "int", "<nil>": "nil", "b": "bin", "[]": "list", "true": "bool", "ext(5, 01)": "ext"}}
	if got := p.Messages[0].Metadata; !reflect.DeepEqual(got, want) {
		t.Errorf("%#v", got)
	}
}

func TestDecodeOverwrites(t *testing.T) {
	p := goldenPacket
	p.Messages = append([]protocol.LogMessage{}, p.Messages...)
	if err := protocol.DecodePacket([]byte(packetOf(4, noMeta)), &p); err != nil {
		t.Fatal(err)
	}
	if p.PacketID != "p" || len(p.Messages) != 1 || p.Messages[0].Metadata != nil || p.Messages[0].Source != "s" {
		t.Errorf("%+v", p)
	}
}

func TestAppendPacketAllocatesNothing(t *testing.T) {
	p := goldenPacket
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf = protocol.AppendPacket(buf[:0], &p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestValidLevel(t *testing.T) {
	for s, want := range map[string]bool{
		"DEBUG": true, "INFO": true, "WARNING": true, "ERROR": true, "CRITICAL": true,
		"": false, "info": false, "WARN": false, "FATAL": false,
	} {
		if protocol.ValidLevel(s) != want {
			t.Errorf("ValidLevel(%q) = %v", s, !want)
		}
	}
}
