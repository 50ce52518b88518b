package record

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"sluice/protocol"

	"github.com/vmihailenco/msgpack/v5"
)

func TestMessagesAreReadableJSON(t *testing.T) {
	when := time.Date(2026, 2, 3, 4, 5, 6, 700, time.UTC)
	p := protocol.LogPacket{PacketID: "p\"1", AgentID: "a\xff", Messages: []protocol.LogMessage{
		{Timestamp: protocol.Timestamp{Time: when}, Level: "INFO", Source: "s", Message: "line\nbreak \\ \x01 é 漢 \xf0\x28",
			Metadata: map[string]any{"n": 1, "f": 1.5, "b": []byte{1, 2}, "l": []any{true, nil, -7}, "m": map[string]any{"x": "y"}, "nan": math.NaN(), "t": when}},
		{Level: "WARNING"},
	}}
	received := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	body := protocol.AppendPacket(nil, &p)
	out := AppendMessages(nil, []byte(p.PacketID), []byte(p.AgentID), body, received)
	want := `{"packet_id":"p\"1","agent_id":"a\ufffd","timestamp":"2026-02-03T04:05:06.0000007Z","level":"INFO","source":"s","message":"line\nbreak \\ \u0001 é 漢 \ufffd(",` +
		`"metadata":{"b":"AQI=","f":1.5,"l":[true,null,-7],"m":{"x":"y"},"n":1,"nan":null,"t":"2026-02-03T04:05:06.0000007Z"}}`
	first, rest, _ := cutLine(out)
	var got, expected map[string]any
	if err := json.Unmarshal(first, &got); err != nil {
		t.Fatalf("%v in %s", err, first)
	}
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("got  %s\nwant %s", first, want)
	}
	if err := json.Unmarshal(rest, &got); err != nil || got["level"] != "WARNING" {
		t.Errorf("second line %s: %v", rest, err)
	}
}

func cutLine(b []byte) (line, rest []byte, ok bool) {
	for i, c := range b {
		if c == '\n' {
			return b[:i], b[i+1:], true
		}
	}
	return b, nil, false
}

// The time of receipt stands in where the sender gave none that can be
// understood: the zero time, which is what encoders write for none, among them.
func TestTimesInTheOutput(t *testing.T) {
	received := time.Date(2027, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))
	const receipt = "2026-12-31T23:00:00Z"
	for _, c := range []struct {
		name, value, want string
	}{
		{"zero", "\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xf1\x88\x6e\x09\x00", receipt},
		{"too many nanoseconds", "\xd7\xff\xee\x6b\x28\x00\x00\x00\x00\x00", receipt},
		{"no time", "\xa3now", receipt},
		{"a float", "\xcb\x3f\xf0\x00\x00\x00\x29\x8c\xb0", "1970-01-01T00:00:01.000000001Z"},
		{"with a zone", "\xb92026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z"},
		{"1970", "\x00", "1970-01-01T00:00:00Z"},
	} {
		body := []byte("\x83\xa9packet_id\xa1p\xa8agent_id\xa1a\xa8messages\x91\x84\xa9timestamp" + c.value +
			"\xa5level\xa4INFO\xa6source\xa1s\xa7message\xa1m")
		var line struct{ Timestamp string }
		if err := json.Unmarshal(AppendMessages(nil, []byte("p"), []byte("a"), body, received), &line); err != nil || line.Timestamp != c.want {
			t.Errorf("%s: %q, want %q (%v)", c.name, line.Timestamp, c.want, err)
		}
	}
}

// Values that JSON has no form for, inside metadata.
func TestOddValues(t *testing.T) {
	enc := func(v any) []byte {
		b, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		in   []byte
		want string
	}{
		{enc(map[int]string{5: "five"}), `{"5":"five"}`},
		{[]byte{0x81, 0x92, 1, 0xa1, 'x', 0xc3}, `{"[1,\"x\"]":true}`},
		{[]byte{0xd4, 9, 0xff}, `{"ext":9,"data":"/w=="}`},
		{[]byte{0xd4, 0xff, 0xff}, `{"ext":-1,"data":"/w=="}`},
		{enc(uint64(math.MaxUint64)), `18446744073709551615`},
		{enc(math.Inf(-1)), `null`},
		{enc(1e300), `1e+300`},
		{enc([]any{}), `[]`},
		{enc(map[string]any{}), `{}`},
	} {
		got, at := appendValue(nil, c.in, 0)
		if string(got) != c.want || at != len(c.in) || !json.Valid(got) {
			t.Errorf("%x: %s, want %s", c.in, got, c.want)
		}
	}
}

// Whatever the scan passes becomes one valid line for each message; what it
// refuses does no harm.
func FuzzMessages(f *testing.F) {
	f.Add(protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "p", AgentID: "a",
		Messages: []protocol.LogMessage{{Level: "INFO", Source: "s", Message: "m", Metadata: map[string]any{"a": []any{1.5, nil}}}}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		var s protocol.Scanned
		if protocol.Scan(body, &s) != nil {
			AppendMessages(nil, s.PacketID, s.AgentID, body, time.Unix(0, 0))
			return
		}
		out, lines := AppendMessages(nil, s.PacketID, s.AgentID, body, time.Unix(0, 0)), 0
		for len(out) > 0 {
			line, rest, _ := cutLine(out)
			if !json.Valid(line) {
				t.Fatalf("not JSON: %q", line)
			}
			out = rest
			lines++
		}
		if lines != s.Messages {
			t.Fatalf("%d lines, %d messages", lines, s.Messages)
		}
	})
}

func TestReceiptsStayLines(t *testing.T) {
	if got := string(AppendReceipt(nil, []byte("a\nb\\c"))); got != "a\\nb\\\\c\n" {
		t.Errorf("%q", got)
	}
}

// A file that was cut off inside a line is continued on a new one.
func TestTornLineIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "receipts")
	if err := os.WriteFile(path, []byte("one\ntw"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"three\n", "four\n"} {
		if err := f.Append([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	if got, _ := os.ReadFile(path); string(got) != "one\ntw\nthree\nfour\n" {
		t.Errorf("%q", got)
	}
}

func TestAFullDiskIsRemembered(t *testing.T) {
	f, err := Open("/dev/full")
	if err != nil {
		t.Skip("no /dev/full here: ", err)
	}
	defer f.Close()
	if err := f.Append([]byte("x\n")); err == nil || f.Err() == nil {
		t.Errorf("Append: %v, Err: %v", err, f.Err())
	}
}
