package protocol_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/protocol"
)

// Pieces of bodies, written as the wire has them.
const (
	keyPacket   = "\xa9packet_id"
	keyAgent    = "\xa8agent_id"
	keyMessages = "\xa8messages"
	ids         = keyPacket + "\xa1p" + keyAgent + "\xa1a"
	keyTime     = "\xa9timestamp"
	keyMeta     = "\xa8metadata"
	time8       = "\xd7\xff\x00\x00\x00\x00\x00\x00\x00\x01"
	noTime      = "\xa5level\xa4INFO\xa6source\xa1s\xa7message\xa1m"
	noMeta      = keyTime + time8 + noTime
)

// packetOf is a packet with one message of that many pairs.
func packetOf(pairs int, message string) string {
	return "\x83" + ids + keyMessages + "\x91" + string([]byte{0x80 | byte(pairs)}) + message
}

func withTime(v string) string { return packetOf(4, keyTime+v+noTime) }
func withMeta(v string) string { return packetOf(5, noMeta+keyMeta+v) }

func nested(open string, n int, end string) string { return strings.Repeat(open, n) + end }

func TestScanAccepts(t *testing.T) {
	long := strings.Repeat("x", 256)
	for name, body := range map[string]string{
		"no messages":           "\x83" + ids + keyMessages + "\x90",
		"one message":           packetOf(4, noMeta),
		"any order":             "\x83" + keyMessages + "\x90" + keyAgent + "\xa1a" + keyPacket + "\xa1p",
		"map 16":                "\xde\x00\x03" + ids + keyMessages + "\x90",
		"map 32, array 32":      "\xdf\x00\x00\x00\x03" + ids + keyMessages + "\xdd\x00\x00\x00\x00",
		"keys as str 8, 16, 32": "\x83\xd9\x09packet_id\xda\x00\x01p\xda\x00\x08agent_id\xdb\x00\x00\x00\x01a\xdb\x00\x00\x00\x08messages\xdc\x00\x00",
		"ids of 256 bytes":      "\x83" + keyPacket + "\xda\x01\x00" + long + keyAgent + "\xda\x01\x00" + long + keyMessages + "\x90",
		"unknown keys":          "\x86" + ids + "\xa3new\x93\x01\x02\x03" + keyMessages + "\x90\xa3new\xc0\xa0\xd4\x05\x00",
		"unknown in a message":  packetOf(5, "\xa1x\xdc\x00\x01\x81\xc3\xc2"+noMeta),
		"level unheard of":      packetOf(4, keyTime+time8+"\xa5level\xa0\xa6source\xa0\xa7message\xa0"),
		"invalid UTF-8":         packetOf(4, keyTime+time8+"\xa5level\xa2\xff\xfe\xa6source\xa1\x80\xa7message\xa1\xc3"),
		"timestamp 32":          withTime("\xd6\xff\x00\x00\x00\x01"),
		"timestamp 64 in ext 8": withTime("\xc7\x08\xff\x00\x00\x00\x00\x00\x00\x00\x01"),
		"timestamp 96":          withTime("\xc7\x0c\xff" + strings.Repeat("\x00", 12)),
		"timestamp in ext 16":   withTime("\xc8\x00\x04\xff\x00\x00\x00\x00"),
		"timestamp in ext 32":   withTime("\xc9\x00\x00\x00\x04\xff\x00\x00\x00\x00"),
		"nanoseconds over 1e9":  withTime("\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		"time as str":           withTime("\xb42026-01-02T03:04:05Z"),
		"time as no time":       withTime("\xa3now"),
		"time as fixint":        withTime("\x05"),
		"time as uint 64":       withTime("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
		"time as int 64":        withTime("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
		"time as float 32":      withTime("\xca\x7f\xc0\x00\x00"),
		"time as NaN":           withTime("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01"),
		"time before 1970":      withTime("\xff"),
		"metadata nil":          withMeta("\xc0"),
		"metadata empty":        withMeta("\x80"),
		"metadata twice a key":  withMeta("\x82\xa1a\x01\xa1a\x02"),
		"metadata of all types": withMeta("\xde\x00\x0d\xa1a\xc0\xa1b\xc2\xa1c\xca\x00\x00\x00\x00\xa1d\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00" +
			"\xa1e\xd3\xff\xff\xff\xff\xff\xff\xff\xff\xa1f\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1g\xc4\x02ab\xa1h\x92\x01\xa0\xa1i\x81\x01\x02" +
			"\xa1j\xd4\xff\x00\xa1k\xc7\x05\xffabcde\xa1l\xd8\x80" + strings.Repeat("z", 16) + "\xa1m\xc7\x00\x2a"),
		"metadata with odd maps": withMeta("\x81\xa1k\x83\x90\x01\x80\x02\xc0\x03"),
		"metadata 28 deep":       withMeta("\x81\xa1k" + nested("\x91", 28, "\x00")),
		"unknown key 31 deep":    "\x84" + ids + keyMessages + "\x90\xa1k" + nested("\x81\x00", 31, "\x00"),
	} {
		var s protocol.Scanned
		if err := protocol.Scan([]byte(body), &s); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if len(s.PacketID) == 0 || len(s.AgentID) == 0 || s.Messages != strings.Count(body, "message\xa1m")+strings.Count(body, "message\xa0")+strings.Count(body, "message\xa1\xc3") {
			t.Errorf("%s: %q %q %d", name, s.PacketID, s.AgentID, s.Messages)
		}
		var p protocol.LogPacket
		if err := protocol.DecodePacket([]byte(body), &p); err != nil {
			t.Errorf("%s: decode: %v", name, err)
		}
		// A9, and A2 by hand: every prefix is invalid, and so is every longer body.
		for i := range body {
			if err := protocol.Scan([]byte(body[:i]), &s); err == nil {
				t.Errorf("%s: accepted when cut at %d of %d", name, i, len(body))
			}
		}
		if err := protocol.Scan([]byte(body+"\xc0"), &s); err == nil {
			t.Errorf("%s: trailing byte accepted", name)
		}
	}
}

func TestScanRefuses(t *testing.T) {
	long := "\xda\x01\x01" + strings.Repeat("x", 257)
	noMessages := "\x82" + ids
	for _, tc := range []struct{ name, body, field, reason string }{
		{"nothing", "", "body", protocol.ReasonTruncated},
		{"nil", "\xc0", "body", protocol.ReasonType},
		{"array", "\x90", "body", protocol.ReasonType},
		{"ext", "\xd4\x01\x00", "body", protocol.ReasonType},
		{"0xc1", "\xc1", "body", protocol.ReasonType},
		{"empty map", "\x80", "packet_id", protocol.ReasonMissing},
		{"no packet_id", "\x82" + keyAgent + "\xa1a" + keyMessages + "\x90", "packet_id", protocol.ReasonMissing},
		{"no agent_id", "\x82" + keyPacket + "\xa1p" + keyMessages + "\x90", "agent_id", protocol.ReasonMissing},
		{"no messages", noMessages, "messages", protocol.ReasonMissing},
		{"packet_id twice", "\x84" + keyPacket + "\xa1p" + ids + keyMessages + "\x90", "packet_id", protocol.ReasonDuplicate},
		{"agent_id twice", "\x84" + keyAgent + "\xa1p" + ids + keyMessages + "\x90", "agent_id", protocol.ReasonDuplicate},
		{"twice, once as str 8", "\x84\xd9\x09packet_id\xa1p" + ids + keyMessages + "\x90", "packet_id", protocol.ReasonDuplicate},
		{"messages twice", "\x84" + ids + keyMessages + "\x90" + keyMessages + "\x90", "messages", protocol.ReasonDuplicate},
		{"empty packet_id", "\x83" + keyPacket + "\xa0" + keyAgent + "\xa1a" + keyMessages + "\x90", "packet_id", protocol.ReasonLength},
		{"long agent_id", "\x83" + keyPacket + "\xa1p" + keyAgent + long + keyMessages + "\x90", "agent_id", protocol.ReasonLength},
		{"packet_id as bin", "\x83" + keyPacket + "\xc4\x01p" + keyAgent + "\xa1a" + keyMessages + "\x90", "packet_id", protocol.ReasonType},
		{"packet_id nil", "\x83" + keyPacket + "\xc0" + keyAgent + "\xa1a" + keyMessages + "\x90", "packet_id", protocol.ReasonType},
		{"messages nil", "\x83" + ids + keyMessages + "\xc0", "messages", protocol.ReasonType},
		{"messages a map", "\x83" + ids + keyMessages + "\x80", "messages", protocol.ReasonType},
		{"a message nil", "\x83" + ids + keyMessages + "\x91\xc0", "messages[]", protocol.ReasonType},
		{"a key as bin", "\x84\xc4\x01k\x00" + ids + keyMessages + "\x90", "body", protocol.ReasonKey},
		{"a key as int", packetOf(5, "\x01\x01"+noMeta), "messages[]", protocol.ReasonKey},
		{"no timestamp", packetOf(3, noTime), "timestamp", protocol.ReasonMissing},
		{"no level", packetOf(3, keyTime+time8+"\xa6source\xa1s\xa7message\xa1m"), "level", protocol.ReasonMissing},
		{"no source", packetOf(3, keyTime+time8+"\xa5level\xa1s\xa7message\xa1m"), "source", protocol.ReasonMissing},
		{"no message", packetOf(3, keyTime+time8+"\xa5level\xa1s\xa6source\xa1m"), "message", protocol.ReasonMissing},
		{"level twice", packetOf(5, noMeta+"\xa5level\xa1m"), "level", protocol.ReasonDuplicate},
		{"timestamp twice", packetOf(5, noMeta+keyTime+time8), "timestamp", protocol.ReasonDuplicate},
		{"metadata twice", packetOf(6, noMeta+keyMeta+"\xc0"+keyMeta+"\xc0"), "metadata", protocol.ReasonDuplicate},
		{"level as int", packetOf(4, keyTime+time8+"\xa5level\x01\xa6source\xa1s\xa7message\xa1m"), "level", protocol.ReasonType},
		{"message nil", packetOf(4, keyTime+time8+"\xa5level\xa0\xa6source\xa1s\xa7message\xc0"), "message", protocol.ReasonType},
		{"time nil", withTime("\xc0"), "timestamp", protocol.ReasonType},
		{"time true", withTime("\xc3"), "timestamp", protocol.ReasonType},
		{"time as bin", withTime("\xc4\x00"), "timestamp", protocol.ReasonType},
		{"time as array", withTime("\x92\x00\x00"), "timestamp", protocol.ReasonType},
		{"time as map", withTime("\x80"), "timestamp", protocol.ReasonType},
		{"time of another ext", withTime("\xd7\x0d" + strings.Repeat("\x00", 8)), "timestamp", protocol.ReasonType},
		{"time of 1 byte", withTime("\xd4\xff\x00"), "timestamp", protocol.ReasonType},
		{"time of 5 bytes", withTime("\xc7\x05\xff\x00\x00\x00\x00\x00"), "timestamp", protocol.ReasonType},
		{"time of 16 bytes", withTime("\xd8\xff" + strings.Repeat("\x00", 16)), "timestamp", protocol.ReasonType},
		{"time of 5 bytes in ext 16", withTime("\xc8\x00\x05\xff\x00\x00\x00\x00\x00"), "timestamp", protocol.ReasonType},
		{"metadata an array", withMeta("\x90"), "metadata", protocol.ReasonType},
		{"metadata a str", withMeta("\xa0"), "metadata", protocol.ReasonType},
		{"metadata with an int key", withMeta("\x81\x01\x01"), "metadata", protocol.ReasonKey},
		{"metadata with 0xc1", withMeta("\x81\xa1k\xc1"), "metadata", protocol.ReasonReserved},
		{"metadata 29 deep", withMeta("\x81\xa1k" + nested("\x91", 29, "\x00")), "metadata", protocol.ReasonDepth},
		{"metadata with an empty map too deep", withMeta("\x81\xa1k" + nested("\x91", 28, "\x80")), "metadata", protocol.ReasonDepth},
		{"unknown 32 deep", "\x84" + ids + keyMessages + "\x90\xa1k" + nested("\x81\x00", 32, "\x00"), "value of an unknown key", protocol.ReasonDepth},
		{"trailing", "\x83" + ids + keyMessages + "\x90\x00", "body", protocol.ReasonTrailing},
	} {
		var s protocol.Scanned
		err := protocol.Scan([]byte(tc.body), &s)
		var ie *protocol.InvalidError
		if !errors.As(err, &ie) || ie.Field != tc.field || ie.Reason != tc.reason {
			t.Errorf("%s: %v, want %s %s", tc.name, err, tc.field, tc.reason)
		}
		var p protocol.LogPacket
		if err := protocol.DecodePacket([]byte(tc.body), &p); err == nil {
			t.Errorf("%s: decoded", tc.name)
		}
	}
}

// A4: what is declared costs nothing, wherever it stands and by whatever road.
func TestDeclaredCountsAllocateNothing(t *testing.T) {
	const huge = "\xff\xff\xff\xff"
	places := map[string]func(v string) string{
		"body":        func(v string) string { return v },
		"a key":       func(v string) string { return "\x83" + v },
		"packet_id":   func(v string) string { return "\x81" + keyPacket + v },
		"messages":    func(v string) string { return "\x81" + keyMessages + v },
		"a message":   func(v string) string { return "\x83" + ids + keyMessages + "\x91" + v },
		"timestamp":   withTime,
		"metadata":    func(v string) string { return "\x81" + keyMessages + "\x91\x81" + keyMeta + v },
		"in metadata": func(v string) string { return "\x81" + keyMessages + "\x91\x81" + keyMeta + "\x81\xa1k" + v },
		"unknown":     func(v string) string { return "\x81\xa1k" + v },
	}
	in := protocol.NewInspector(0)
	for _, code := range []string{"\xdd", "\xdf", "\xc6", "\xdb", "\xc9"} {
		for place, build := range places {
			body := []byte(build(code + huge))
			body = append(body, bytes.Repeat([]byte{1}, max(0, 16-len(body)))...)
			var s protocol.Scanned
			var p protocol.LogPacket
			var scanErr, decodeErr error
			used := allocatedBy(func() {
				scanErr = in.Scan(body, &s)
				decodeErr = protocol.DecodePacket(body, &p)
			})
			if scanErr == nil || decodeErr == nil {
				t.Errorf("%x in %s: accepted", code, place)
			}
			if used >= 64<<10 {
				t.Errorf("%x in %s: %d bytes allocated", code, place, used)
			}
		}
	}
}

// A5: depth is refused at the 33rd container, however many follow.
func TestDepthIsRefused(t *testing.T) {
	const million = 1_000_000
	for name, v := range map[string]string{
		"arrays":                 nested("\x91", million, ""),
		"maps":                   nested("\x81\xa0", million, ""),
		"maps as keys":           nested("\x81", million, ""),
		"array 16 chains":        nested("\xdc\x00\x01", million/3, ""),
		"array 16 of 65535":      nested("\xdc\xff\xff", million/3, ""),
		"array 32, last of many": nested("\xdd\x00\x00\x00\x02\x00", million/6, ""),
		"map 32 chains":          nested("\xdf\x00\x00\x00\x01\xa0", million/6, ""),
	} {
		for place, body := range map[string]string{
			"unknown":  "\x81\xa1k" + v,
			"metadata": "\x81" + keyMessages + "\x91\x81" + keyMeta + "\x81\xa1k" + v,
		} {
			var s protocol.Scanned
			var ie *protocol.InvalidError
			if err := protocol.Scan([]byte(body), &s); !errors.As(err, &ie) || ie.Reason != protocol.ReasonDepth {
				t.Errorf("%s in %s: %v", name, place, err)
			}
		}
	}
}

// A wide value within the depth is walked, not refused.
func TestScanWalksWideValues(t *testing.T) {
	wide := "\xdd\x00\x0f\x42\x40" + strings.Repeat("\x90", 1_000_000)
	var s protocol.Scanned
	if err := protocol.Scan([]byte(withMeta("\x81\xa1k"+wide)), &s); err != nil {
		t.Error(err)
	}
}

func TestScanAllocatesNothing(t *testing.T) {
	bodies := [][]byte{plainPacket(), golden(t, "packet")[4:], []byte(packetOf(5, noMeta)), {0x81, 0xc1}, nil}
	for i, body := range bodies {
		var s protocol.Scanned
		if n := testing.AllocsPerRun(100, func() { _ = protocol.Scan(body, &s) }); n != 0 {
			t.Errorf("body %d: %v allocations", i, n)
		}
	}
}

// The borrowed ids end where they end: an append copies.
func TestScannedIsBorrowedWithoutRoom(t *testing.T) {
	var s protocol.Scanned
	body := plainPacket()
	if err := protocol.Scan(body, &s); err != nil {
		t.Fatal(err)
	}
	if cap(s.PacketID) != len(s.PacketID) || cap(s.AgentID) != len(s.AgentID) {
		t.Error(fmt.Sprint("capacity reaches into the body: ", cap(s.PacketID), cap(s.AgentID)))
	}
}
