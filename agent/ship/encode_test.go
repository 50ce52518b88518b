package ship

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/agent/lines"
	"sluice/internal/rawlog"
	"sluice/protocol"
)

var read = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func encoded(t interface{ Fatalf(string, ...any) }, raw string, pairs ...Pair) (*protocol.LogPacket, []byte) {
	e := &encoder{agent: "agent", splitter: &lines.Splitter{MaxRecord: 64 << 10}, parser: rawlog.NewParser(time.UTC, read)}
	p := &Packet{Origin: NewOrigin("id", "file.log", pairs...), Start: 100, End: 100 + int64(len(raw)), Raw: []byte(raw), Before: read, Read: read}
	body := e.encode(nil, p)
	var s protocol.Scanned
	if err := protocol.Scan(body, &s); err != nil {
		t.Fatalf("%v in the body of %q", err, raw)
	}
	packet := &protocol.LogPacket{}
	if err := protocol.DecodePacket(body, packet); err != nil {
		t.Fatalf("%v in the body of %q", err, raw)
	}
	if len(packet.Messages) != p.Records {
		t.Fatalf("%d messages, %d records", len(packet.Messages), p.Records)
	}
	return packet, body
}

func TestEncode(t *testing.T) {
	p, _ := encoded(t, strings.Join([]string{
		"2015-05-02 10:11:12,345 WARN [main] org.x.Y: late",
		`{"msg":"m","level":"error","time":"2015-05-02T10:11:12Z","host":"db","offset":7,"n":1.5,"big":12345678901,"o":{"a":[1,null,true]}}`,
		`{"msg":"twice","k":1,"k":"2"}`,
		"caf\xe9",
		"",
	}, "\n")+"\n", Pair{"path", "/x"}, Pair{"host", "h"}, Pair{"host", "again"}, Pair{"none", ""})
	if p.PacketID != "agent/id/100-317" || p.AgentID != "agent" {
		t.Errorf("%q %q", p.PacketID, p.AgentID)
	}
	at := time.Date(2015, 5, 2, 10, 11, 12, 0, time.UTC)
	for i, want := range []protocol.LogMessage{
		{Timestamp: protocol.Timestamp{Time: at.Add(345 * time.Millisecond)}, Level: "WARNING", Source: "org.x.Y", Message: "late",
			Metadata: map[string]any{"path": "/x", "host": "h", "offset": int64(100), "thread": "main"}},
		{Timestamp: protocol.Timestamp{Time: at}, Level: "ERROR", Source: "file.log", Message: "m",
			Metadata: map[string]any{"path": "/x", "host": "h", "offset": int64(150), "line.host": "db", "line.offset": int64(7), "n": 1.5,
				"big": int64(12345678901), "o": map[string]any{"a": []any{int64(1), nil, true}}}},
		{Timestamp: protocol.Timestamp{Time: read}, Level: "INFO", Source: "file.log", Message: "twice",
			Metadata: map[string]any{"path": "/x", "host": "h", "offset": int64(281), "k": int64(1), "line.k": "2"}},
		{Timestamp: protocol.Timestamp{Time: read}, Level: "INFO", Source: "file.log", Message: "caf\uFFFD",
			Metadata: map[string]any{"path": "/x", "host": "h", "offset": int64(311), "raw": []byte("caf\xe9")}},
		{Timestamp: protocol.Timestamp{Time: read}, Level: "INFO", Source: "file.log",
			Metadata: map[string]any{"path": "/x", "host": "h", "offset": int64(316)}},
	} {
		got := p.Messages[i]
		if !got.Timestamp.Equal(want.Timestamp.Time) {
			t.Errorf("%d: time %v", i, got.Timestamp)
		}
		got.Timestamp, want.Timestamp = protocol.Timestamp{}, protocol.Timestamp{}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d:\n got %+v\nwant %+v", i, got, want)
		}
	}
}

// Whatever is in a file, a receiver takes its packets: one that it refused as
// invalid would hold the file for ever.
func TestEveryBodyIsValid(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{
			"{", "}", "[", "]", `"`, `\`, ":", ",", `"a"`, "1", "-1e400", "1.5", "null", "\xff", "\xc3", "é", "\n", "\r\n", "\x00", " ", "=", "a=", "level=info",
			"<34>1 ", "<13>", "2015-05-02T10:11:12Z ", "Jan  2 10:11:12 h a[1]: ", "[Sat May 02 10:11:12 2015] [error] ", "- ", "E0102 10:11:12 ", "x",
			`{"a":{"b":[`, `{"msg":"x","":1}`, `192.0.2.1 - - [02/May/2015:10:11:12 +0000] "GET /" 200 1`,
		})).Draw(rt, "parts")
		if raw := strings.Join(parts, ""); raw != "" {
			encoded(rt, raw, Pair{"path", "/x"})
		}
	})
	deep := `{"msg":"x","deep":` + strings.Repeat(`{"a":[`, 40) + strings.Repeat(`]}`, 40) + "}"
	p, _ := encoded(t, deep)
	if p.Messages[0].Metadata["deep"] == nil {
		t.Errorf("%+v", p.Messages[0])
	}
}

// The largest packet stays below the smallest frame limit that receivers have by
// default, whatever is in it.
func TestLargestBody(t *testing.T) {
	const batch = 128 << 10
	for name, line := range map[string]string{
		"invalid":      strings.Repeat("\xff", 127) + "\n",
		"floats":       `{"msg":"","a":[` + strings.Repeat("1.5,", 28) + "1]}\n",
		"escapes":      `{"msg":"` + strings.Repeat(`\u0001`, 18) + "\"}\n",
		"many objects": `{"msg":"","a":[` + strings.Repeat(`{},`, 36) + "1]}\n",
	} {
		_, body := encoded(t, strings.Repeat(line, batch/len(line)), Pair{"path", strings.Repeat("p", 100)})
		if len(body) > protocol.DefaultMaxFrame {
			t.Errorf("%s: %d bytes", name, len(body))
		}
	}
}
