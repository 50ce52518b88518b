package protocol_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sluice/protocol"
)

func TestControlRoundTrip(t *testing.T) {
	many := uint64(math.MaxUint64)
	for name, tc := range map[string]struct {
		frame []byte
		want  protocol.Control
	}{
		"hello":       {protocol.AppendHello(nil, protocol.Hello{Version: 1}), protocol.Control{Op: protocol.OpHello, Hello: protocol.Hello{Version: 1}}},
		"hello, all":  {protocol.AppendHello(nil, protocol.Hello{Version: 3, Agent: "a", Token: "t"}), protocol.Control{Op: protocol.OpHello, Hello: protocol.Hello{Version: 3, Agent: "a", Token: "t"}}},
		"ack":         {protocol.AppendAck(nil, 0, 127, 128), protocol.Control{Op: protocol.OpAck, Frames: 127, Bytes: 128}},
		"ack, large":  {protocol.AppendAck(nil, many, 65536, 1<<32), protocol.Control{Op: protocol.OpAck, N: many, Frames: 65536, Bytes: 1 << 32}},
		"nack":        {protocol.AppendNack(nil, 7, protocol.NackInvalid, 0, "no", 0), protocol.Control{Op: protocol.OpNack, N: 7, Code: 3, Text: []byte("no"), Count: 1}},
		"nack, run":   {protocol.AppendNack(nil, 7, protocol.NackBusy, time.Second, "", 256), protocol.Control{Op: protocol.OpNack, N: 7, Code: 1, RetryAfter: time.Second, Text: []byte{}, Count: 256}},
		"nack, early": {protocol.AppendNack(nil, 7, protocol.NackBusy, -time.Second, "", 1), protocol.Control{Op: protocol.OpNack, N: 7, Code: 1, Text: []byte{}, Count: 1}},
		"ping":        {protocol.AppendPing(nil, 300), protocol.Control{Op: protocol.OpPing, Echo: []byte{0xcd, 1, 44}}},
		"pong":        {protocol.AppendPong(nil, []byte{0x91, 0xc0}), protocol.Control{Op: protocol.OpPong, Echo: []byte{0x91, 0xc0}}},
		"goaway":      {protocol.AppendGoaway(nil, protocol.GoawayOverload, "x"), protocol.Control{Op: protocol.OpGoaway, Code: 4, Text: []byte("x")}},
		"welcome": {
			protocol.AppendWelcome(nil, protocol.Welcome{Version: 1, Server: "s", Frames: 5000, Bytes: 1 << 33, MaxFrame: 1 << 24, Compression: []protocol.Compression{protocol.Gzip}}),
			protocol.Control{Op: protocol.OpWelcome, Welcome: protocol.Welcome{Version: 1, Server: "s", Frames: 5000, Bytes: 1 << 33, MaxFrame: 1 << 24, Compression: []protocol.Compression{protocol.Gzip}}},
		},
	} {
		if n := protocol.FrameLength(tc.frame); int(n) != len(tc.frame)-protocol.HeaderSize {
			t.Errorf("%s: header says %d", name, n)
		}
		got := protocol.Control{Text: []byte("left over"), Count: 9}
		if err := protocol.ParseControl(tc.frame[protocol.HeaderSize:], &got); err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, tc.want)
		}
	}
}

// A9: what a later protocol may add is ignored, and other ways to write a
// number are the same number.
func TestControlIgnoresWhatItDoesNotKnow(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		op   protocol.Opcode
		n    uint64
	}{
		"unknown opcode":          {"\x92\x63\xc0", 99, 0},
		"unknown opcode 0":        {"\x91\x00", 0, 0},
		"opcode above a byte":     {"\x92\xcd\x01\x00\x90", 0, 0},
		"extra elements":          {"\x96\x03\x05\x06\x07\x81\xa1x\xc3\x90", protocol.OpAck, 5},
		"extra in a NACK":         {"\x97\x04\x05\x01\x00\xa0\x01\xc0", protocol.OpNack, 5},
		"array 16":                {"\xdc\x00\x04\x03\x05\x06\x07", protocol.OpAck, 5},
		"array 32":                {"\xdd\x00\x00\x00\x04\x03\x05\x06\x07", protocol.OpAck, 5},
		"wide and signed numbers": {"\x94\xcc\x03\xd3\x00\x00\x00\x00\x00\x00\x00\x05\xd0\x06\xce\x00\x00\x00\x07", protocol.OpAck, 5},
		"unknown NACK code":       {"\x95\x04\x05\xcc\xc8\x00\xa0", protocol.OpNack, 5},
		"unknown keys of HELLO":   {"\x92\x01\x83\xa3new\x90\xa1v\x01\xa0\xc0", protocol.OpHello, 0},
		"unknown compression":     {"\x92\x02\x82\xa1v\x01\xabcompression\x92\xa6brotli\xa2s2", protocol.OpWelcome, 0},
	} {
		var c protocol.Control
		if err := protocol.ParseControl([]byte(tc.body), &c); err != nil || c.Op != tc.op || c.N != tc.n {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		if tc.op == protocol.OpWelcome && !reflect.DeepEqual(c.Welcome.Compression, []protocol.Compression{protocol.S2}) {
			t.Errorf("%s: compression %v", name, c.Welcome.Compression)
		}
	}
}

// A WELCOME of a page leaves out what is not different.
func TestShortWelcomeIsTheFirstCredit(t *testing.T) {
	var c protocol.Control
	if err := protocol.ParseControl([]byte("\x92\x02\x81\xa1v\x01"), &c); err != nil {
		t.Fatal(err)
	}
	want := protocol.Welcome{Version: 1, Frames: protocol.FirstCreditFrames, Bytes: protocol.FirstCreditBytes, MaxFrame: protocol.DefaultMaxFrame}
	if !reflect.DeepEqual(c.Welcome, want) {
		t.Errorf("%+v", c.Welcome)
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	var c protocol.Control
	if err := protocol.ParseControl([]byte("\x95\x04\x01\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa0"), &c); err != nil || c.RetryAfter != protocol.MaxRetryAfter {
		t.Errorf("%v, %v", c.RetryAfter, err)
	}
}

func TestControlRefusesWhatIsMalformed(t *testing.T) {
	for _, tc := range []struct{ name, body, reason string }{
		{"nothing", "", protocol.ReasonTruncated},
		{"a map", "\x80", protocol.ReasonType},
		{"no opcode", "\x90", protocol.ReasonMissing},
		{"opcode as str", "\x91\xa1x", protocol.ReasonType},
		{"negative opcode", "\x91\xff", protocol.ReasonRange},
		{"trailing", "\x94\x03\x05\x06\x07\xc0", protocol.ReasonTrailing},
		{"trailing after an unknown opcode", "\x91\x63\xc0", protocol.ReasonTrailing},
		{"0xc1 in an unknown opcode", "\x92\x63\xc1", protocol.ReasonReserved},
		{"short ACK", "\x93\x03\x05\x06", protocol.ReasonMissing},
		{"ACK cut", "\x94\x03\x05\x06", protocol.ReasonTruncated},
		{"ACK cut in a number", "\x94\x03\x05\x06\xcd\x01", protocol.ReasonTruncated},
		{"negative ACK", "\x94\x03\xff\x06\x07", protocol.ReasonRange},
		{"negative int 8", "\x94\x03\xd0\x80\x06\x07", protocol.ReasonRange},
		{"ACK of a float", "\x94\x03\xca\x00\x00\x00\x00\x06\x07", protocol.ReasonType},
		{"ACK of nil", "\x94\x03\xc0\x06\x07", protocol.ReasonType},
		{"short NACK", "\x94\x04\x05\x01\x00", protocol.ReasonMissing},
		{"NACK of frame 0", "\x95\x04\x00\x01\x00\xa0", protocol.ReasonRange},
		{"NACK of no frames", "\x96\x04\x05\x01\x00\xa0\x00", protocol.ReasonRange},
		{"NACK past the last number", "\x96\x04\x05\x01\x00\xa0\xcf\xff\xff\xff\xff\xff\xff\xff\xff", protocol.ReasonRange},
		{"NACK code above a byte", "\x95\x04\x05\xcd\x01\x00\x00\xa0", protocol.ReasonRange},
		{"NACK text as bin", "\x95\x04\x05\x01\x00\xc4\x00", protocol.ReasonType},
		{"PING of nothing", "\x91\x05", protocol.ReasonMissing},
		{"PING nested too deep", "\x92\x05" + nested("\x91", 32, "\xc0"), protocol.ReasonDepth},
		{"HELLO without a map", "\x91\x01", protocol.ReasonMissing},
		{"HELLO of an array", "\x92\x01\x90", protocol.ReasonType},
		{"HELLO without v", "\x92\x01\x81\xa5agent\xa1a", protocol.ReasonMissing},
		{"HELLO of version 0", "\x92\x01\x81\xa1v\x00", protocol.ReasonRange},
		{"HELLO with v twice", "\x92\x01\x82\xa1v\x01\xa1v\x01", protocol.ReasonDuplicate},
		{"HELLO with an int key", "\x92\x01\x81\x01\x01", protocol.ReasonKey},
		{"HELLO agent as int", "\x92\x01\x82\xa1v\x01\xa5agent\x01", protocol.ReasonType},
		{"HELLO agent too long", "\x92\x01\x82\xa1v\x01\xa5agent\xda\x01\x01" + strings.Repeat("x", 257), protocol.ReasonRange},
		{"HELLO of 4 G pairs", "\x92\x01\xdf\xff\xff\xff\xff", protocol.ReasonTruncated},
		{"WELCOME of frame 0", "\x92\x02\x82\xa1v\x01\xa9max_frame\x00", protocol.ReasonRange},
		{"WELCOME compression of ints", "\x92\x02\x82\xa1v\x01\xabcompression\x91\x01", protocol.ReasonType},
		{"GOAWAY without text", "\x92\x07\x00", protocol.ReasonMissing},
		{"too long", "\x92\x63\xc5\x10\x00" + strings.Repeat("x", 4096), protocol.ReasonTooLong},
		{"array 32 of 4 G", "\xdd\xff\xff\xff\xff\x01", protocol.ReasonTruncated},
	} {
		var c protocol.Control
		err := protocol.ParseControl([]byte(tc.body), &c)
		var ie *protocol.InvalidError
		if !errors.As(err, &ie) || ie.Reason != tc.reason {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.reason)
		}
	}
}

func TestTextsAreCutAtARune(t *testing.T) {
	for shift := range 4 {
		text := strings.Repeat("x", shift) + strings.Repeat("漢", 3000)
		var c protocol.Control
		for _, f := range [][]byte{
			protocol.AppendNack(nil, 1, protocol.NackInvalid, 0, text, 1),
			protocol.AppendGoaway(nil, protocol.GoawayProtocol, text),
		} {
			if err := protocol.ParseControl(f[4:], &c); err != nil || !utf8.Valid(c.Text) || len(c.Text) < 509 {
				t.Errorf("shift %d: %d bytes, %v", shift, len(c.Text), err)
			}
		}
	}
}

func TestNamesOfCodes(t *testing.T) {
	for want, got := range map[string]string{
		"busy": protocol.NackBusy.String(), "unavailable": protocol.NackUnavailable.String(),
		"invalid": protocol.NackInvalid.String(), "too_large": protocol.NackTooLarge.String(),
		"unauthorized": protocol.NackUnauthorized.String(), "draining": protocol.NackDraining.String(),
		"drain": protocol.GoawayDrain.String(), "protocol_error": protocol.GoawayProtocol.String(),
		"idle": protocol.GoawayIdle.String(), "overload": protocol.GoawayOverload.String(),
		"hello": protocol.OpHello.String(), "goaway": protocol.OpGoaway.String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if protocol.NackCode(200).String() != "unknown" || protocol.GoawayCode(200).String() != "unknown" || protocol.Opcode(200).String() != "unknown" {
		t.Error("codes of a later protocol have no name")
	}
}

func TestControlAllocatesNothing(t *testing.T) {
	var c protocol.Control
	for _, f := range [][]byte{
		protocol.AppendAck(nil, 1<<40, 1<<41, 1<<42),
		protocol.AppendNack(nil, 1<<40, protocol.NackBusy, time.Second, "queue full", 1000),
		protocol.AppendPing(nil, 1<<40),
		protocol.AppendPong(nil, []byte{1}),
		protocol.AppendGoaway(nil, protocol.GoawayDrain, "bye"),
		frame([]byte("\x92\x63\xc0")),
		frame([]byte("\x92\x63")),
	} {
		if n := testing.AllocsPerRun(100, func() { _ = protocol.ParseControl(f[4:], &c) }); n != 0 {
			t.Errorf("%x: %v allocations", f, n)
		}
	}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		buf = protocol.AppendAck(buf[:0], 1<<40, 1<<41, 1<<42)
		buf = protocol.AppendNack(buf, 1, protocol.NackBusy, time.Second, "queue full", 2)
		buf = protocol.AppendPing(buf, 1)
		buf = protocol.AppendPong(buf, []byte{1})
	}); n != 0 {
		t.Errorf("appending: %v allocations", n)
	}
}

func FuzzControl(f *testing.F) {
	for _, name := range []string{"hello", "welcome", "ack", "nack", "nack-run", "ping", "pong", "goaway"} {
		f.Add(golden(f, name)[4:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var c protocol.Control
		if err := protocol.ParseControl(body, &c); err != nil {
			var ie *protocol.InvalidError
			if !errors.As(err, &ie) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if len(body) == 0 || !protocol.IsControl(body[0]) || len(body) > protocol.MaxControlFrame {
			t.Fatalf("accepted %x", body)
		}
		var again []byte
		switch c.Op {
		case protocol.OpHello:
			again = protocol.AppendHello(nil, c.Hello)
		case protocol.OpWelcome:
			again = protocol.AppendWelcome(nil, c.Welcome)
		case protocol.OpAck:
			again = protocol.AppendAck(nil, c.N, c.Frames, c.Bytes)
		case protocol.OpNack:
			if c.Count == 0 || c.N == 0 || c.N+c.Count-1 < c.N || len(c.Text) > 512 {
				if len(c.Text) <= 512 {
					t.Fatalf("a NACK of n %d, count %d", c.N, c.Count)
				}
				return
			}
			again = protocol.AppendNack(nil, c.N, protocol.NackCode(c.Code), c.RetryAfter, string(c.Text), c.Count)
		case protocol.OpPing, protocol.OpPong:
			if !bytes.Contains(body, c.Echo) || len(c.Echo) == 0 {
				t.Fatalf("echo %x of %x", c.Echo, body)
			}
			again = protocol.AppendPong(nil, c.Echo)
			c.Op = protocol.OpPong
		case protocol.OpGoaway:
			if len(c.Text) > 512 {
				return
			}
			again = protocol.AppendGoaway(nil, protocol.GoawayCode(c.Code), string(c.Text))
		default:
			return
		}
		if len(again)-4 > protocol.MaxControlFrame {
			return // a name almost as long as the frame, now beside keys that were left out
		}
		var d protocol.Control
		if err := protocol.ParseControl(again[4:], &d); err != nil || !reflect.DeepEqual(c, d) {
			t.Fatalf("%+v\nagain %+v, %v", c, d, err)
		}
	})
}
