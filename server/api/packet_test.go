package api

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/protocol"
)

func encodeJSON(t *testing.T, text string) ([]byte, *refusal) {
	t.Helper()
	d := newWorkspace(1<<20, 1<<20)
	mem := &memory{}
	mem.left.Store(math.MaxInt64)
	return d.encode([]byte(text), &reservation{memory: mem})
}

// What the JSON says is what an analyzer decodes.
func TestPacketFromJSON(t *testing.T) {
	text := `{"unknown":[1,{"packet_id":2}],"messages":[
	  {"message":"gr\u00fc\u00df \"dich\" \ud83d\ude00","timestamp":"2026-01-02T03:04:05.25+01:00","level":"CRITICAL","source":"s","unknown":null,
	   "metadata":{"i":-7,"big":18446744073709551615,"neg":-9223372036854775808,"f":2.5,"e":1e3,"huge":36893488147419103232,
	     "s":"x","t":true,"n":null,"list":[1,-33,-200,-40000,-3000000000,300,70000,5000000000,[],{}],"o":{"a\"b":{"c":"d"}}}},
	  {"timestamp":1767323045,"level":"DEBUG","source":"","message":"","metadata":null},
	  {"timestamp":-1.5,"level":"WARNING","source":"","message":"","metadata":{}}
	],"agent_id":"a","packet_id":"p"}`
	body, refused := encodeJSON(t, text)
	if refused != nil {
		t.Fatal(refused)
	}
	var got protocol.LogPacket
	if err := protocol.DecodePacket(body, &got); err != nil {
		t.Fatal(err)
	}
	if got.PacketID != "p" || got.AgentID != "a" || len(got.Messages) != 3 {
		t.Fatalf("%+v", got)
	}
	first := got.Messages[0]
	if first.Message != "grüß \"dich\" 😀" || first.Level != "CRITICAL" || !first.Timestamp.Equal(time.Date(2026, 1, 2, 2, 4, 5, 250e6, time.UTC)) {
		t.Errorf("%+v", first)
	}
	want := map[string]any{"i": int64(-7), "big": uint64(math.MaxUint64), "neg": int64(math.MinInt64), "f": 2.5, "e": 1e3, "huge": 36893488147419103232.0,
		"s": "x", "t": true, "n": nil, "o": map[string]any{`a"b`: map[string]any{"c": "d"}},
		"list": []any{int64(1), int64(-33), int64(-200), int64(-40000), int64(-3000000000), int64(300), int64(70000), int64(5000000000), []any{}, map[string]any{}}}
	if !reflect.DeepEqual(first.Metadata, want) {
		t.Errorf("got  %#v\nwant %#v", first.Metadata, want)
	}
	if got.Messages[1].Metadata != nil || got.Messages[1].Timestamp.Unix() != 1767323045 {
		t.Errorf("%+v", got.Messages[1])
	}
	if ts := got.Messages[2].Timestamp; ts.UnixMilli() != -1500 || got.Messages[2].Metadata == nil {
		t.Errorf("%+v", got.Messages[2])
	}
}

func TestDepthUpToTheLimit(t *testing.T) {
	nested := func(depth int) string {
		return strings.Replace(packet, `"hello"`, `"hello","metadata":`+strings.Repeat(`{"a":`, depth-3)+"1"+strings.Repeat("}", depth-3), 1)
	}
	body, refused := encodeJSON(t, nested(protocol.MaxDepth))
	if refused != nil {
		t.Fatalf("depth %d: %+v", protocol.MaxDepth, refused)
	}
	if err := protocol.Scan(body, &protocol.Scanned{}); err != nil {
		t.Errorf("depth %d: the scan says %v", protocol.MaxDepth, err)
	}
	if _, refused = encodeJSON(t, nested(protocol.MaxDepth+1)); refused == nil {
		t.Errorf("depth %d was accepted", protocol.MaxDepth+1)
	}
}

// A workspace gives the same packet whatever it was used for before.
func TestDeskIsCleanEachTime(t *testing.T) {
	want, _ := encodeJSON(t, packet)
	want = bytes.Clone(want)
	d := newWorkspace(1<<20, 1<<20)
	mem := &memory{}
	mem.left.Store(math.MaxInt64)
	for _, before := range []string{"", `{"packet_id":1`, `{"packet_id":"x","agent_id":"\ud800"}`, manyMessages(6000), manyKeys(500), "{\"messages\":[{\"level\":\"\xff\"}]}"} {
		reserved := &reservation{memory: mem}
		_, _ = d.encode([]byte(before), reserved)
		d.tidy()
		got, refused := d.encode([]byte(packet), reserved)
		if refused != nil || !bytes.Equal(got, want) {
			t.Errorf("after %.40q: %v", before, refused)
		}
		d.tidy()
		reserved.settle()
	}
	if mem.left.Load() != math.MaxInt64 {
		t.Error("what was reserved was not given back")
	}
}

func TestSmallPacketsHardlyAllocate(t *testing.T) {
	d := newWorkspace(1<<20, 1<<20)
	mem := &memory{}
	mem.left.Store(math.MaxInt64)
	body := []byte(packet)
	if n := testing.AllocsPerRun(200, func() {
		reserved := reservation{memory: mem}
		if _, refused := d.encode(body, &reserved); refused != nil {
			t.Fatal(refused)
		}
		reserved.settle()
		d.tidy()
	}); n > 2 {
		t.Errorf("%v allocations for a packet", n)
	}
}

// FuzzIngestJSON: what is accepted passes the scan, and is JSON for the
// standard library too; what is refused says why.
func FuzzIngestJSON(f *testing.F) {
	f.Add([]byte(packet))
	f.Add([]byte(manyKeys(20)))
	f.Add([]byte(`{"packet_id":"p","agent_id":"a","messages":[{"timestamp":-0,"level":"INFO","source":"\u0000\ud800","message":"\\","metadata":{"a":[1.5,-1e-9,18446744073709551615,null,true,false,{}]}}]}`))
	f.Add([]byte(`{"packet_id":"p","agent_id":"a","messages":[],"x":"` + "\xff" + `"}`))
	f.Add([]byte(strings.Repeat(`[{"":`, 20)))
	f.Add([]byte(`{"packet_id":"p","packet\u005fid":"q"}`))
	d := newWorkspace(64<<10, 16<<10)
	mem := &memory{}
	mem.left.Store(math.MaxInt64)
	f.Fuzz(func(t *testing.T, text []byte) {
		reserved := reservation{memory: mem}
		defer reserved.settle()
		defer d.tidy()
		sent := bytes.Clone(text)
		body, refused := d.encode(text, &reserved)
		if !bytes.Equal(text, sent) {
			t.Fatal("the borrowed body was changed")
		}
		if refused != nil {
			if refused.status/100 != 4 || refused.text == "" || refused.field == "" {
				t.Fatalf("refused with %+v", refused)
			}
			return
		}
		var scanned protocol.Scanned
		if err := protocol.Scan(body, &scanned); err != nil {
			t.Fatalf("accepted, but the scan says %v: %x", err, body)
		}
		var p protocol.LogPacket
		if err := protocol.DecodePacket(body, &p); err != nil {
			t.Fatalf("accepted, but it does not decode: %v: %x", err, body)
		}
		if !json.Valid(text) {
			t.Fatalf("accepted what is not JSON: %q", text)
		}
		if len(p.Messages) != scanned.Messages {
			t.Fatalf("%d messages, scanned %d", len(p.Messages), scanned.Messages)
		}
	})
}
