package protocol_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/protocol"
)

// golden reads testdata/golden/NAME.hex: bytes in hex up to column 48, then
// what they mean.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "golden", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for line := range strings.Lines(string(text)) {
		digits := strings.ReplaceAll(strings.TrimRight(line[:min(48, len(line))], " \n"), " ", "")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %q: %v", name, line, err)
		}
		out = append(out, b...)
	}
	return out
}

func goldenNames(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/golden/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden frames: %v", err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".hex")
	}
	return files
}

var goldenPacket = protocol.LogPacket{
	PacketID: "web-7/1042",
	AgentID:  "web-7",
	Messages: []protocol.LogMessage{{
		Timestamp: protocol.Timestamp{Time: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)},
		Level:     protocol.LevelError,
		Source:    "checkout",
		Message:   "card refused",
		Metadata:  map[string]any{"status": 402, "host": "web-7"},
	}},
}

func frame(body []byte) []byte { return protocol.AppendFrame(nil, body) }

// The golden frames were written by another encoder; ours must give the same.
func TestGoldenFramesAreWhatWeEncode(t *testing.T) {
	empty := protocol.LogPacket{PacketID: "p", AgentID: "a"}
	for name, got := range map[string][]byte{
		"packet":       frame(protocol.AppendPacket(nil, &goldenPacket)),
		"packet-empty": frame(protocol.AppendPacket(nil, &empty)),
		"hello":        protocol.AppendHello(nil, protocol.Hello{Version: 1, Agent: "web-7", Token: "secret"}),
		"welcome": protocol.AppendWelcome(nil, protocol.Welcome{
			Version: 1, Server: "sluice", Frames: 4096, Bytes: 4 << 20, MaxFrame: 1 << 20,
			Compression: []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip},
		}),
		"ack":      protocol.AppendAck(nil, 1042, 5138, 4411904),
		"nack":     protocol.AppendNack(nil, 1043, protocol.NackBusy, 250*time.Millisecond, "queue full", 1),
		"nack-run": protocol.AppendNack(nil, 1044, protocol.NackDraining, 0, "stopping", 300),
		"ping":     protocol.AppendPing(nil, 7),
		"pong":     protocol.AppendPong(nil, []byte{7}),
		"goaway":   protocol.AppendGoaway(nil, protocol.GoawayDrain, "stopping"),
	} {
		if want := golden(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", name, got, want)
		}
	}
}

func TestGoldenFramesAreWhatWeAccept(t *testing.T) {
	in := protocol.NewInspector(protocol.DefaultMaxFrame)
	for _, name := range goldenNames(t) {
		raw := golden(t, name)
		body := raw[protocol.HeaderSize:]
		if n := protocol.FrameLength(raw); int(n) != len(body) {
			t.Errorf("%s: header says %d, body has %d", name, n, len(body))
			continue
		}
		var s protocol.Scanned
		var c protocol.Control
		switch isPacket := strings.HasPrefix(name, "packet"); {
		case protocol.IsControl(body[0]) != (!isPacket && name != "invalid-count"):
			t.Errorf("%s: IsControl(%#x) is wrong", name, body[0])
		case name == "invalid-count":
			if err := in.Scan(body, &s); err == nil {
				t.Errorf("%s: accepted", name)
			}
		case isPacket:
			if err := in.Scan(body, &s); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		default:
			if err := protocol.ParseControl(body, &c); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if op := c.Op.String(); !strings.HasPrefix(name, op) {
				t.Errorf("%s: read as %s", name, op)
			}
		}
	}
}

// The document shows every golden frame as the file has it.
func TestDocumentShowsTheGoldenFrames(t *testing.T) {
	doc, err := os.ReadFile("../docs/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range goldenNames(t) {
		text, err := os.ReadFile(filepath.Join("testdata", "golden", name+".hex"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(doc), "\n```text\n"+string(text)+"```\n") {
			t.Errorf("docs/PROTOCOL.md does not show testdata/golden/%s.hex", name)
		}
	}
}
