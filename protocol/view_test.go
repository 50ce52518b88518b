package protocol_test

import (
	"testing"
	"time"

	"sluice/protocol"
)

// The keys may come in any order; unknown ones are stepped over.
func TestViewOfAnyOrder(t *testing.T) {
	message := "\x86\xa1x\x91\xc0\xa8metadata\x81\xa1k\x07" + noTime + keyTime + "\x05"
	for name, body := range map[string]string{
		"messages first":   "\x83" + keyMessages + "\x92" + message + message + ids,
		"messages between": "\x84\xa1u\x81\x01\xc0" + keyPacket + "\xa1p" + keyMessages + "\x92" + message + message + keyAgent + "\xa1a",
		"messages last":    "\x83" + ids + keyMessages + "\x92" + message + message,
	} {
		v, m, n := protocol.NewView([]byte(body)), protocol.Message{}, 0
		if string(v.PacketID) != "p" || string(v.AgentID) != "a" || v.Messages != 2 {
			t.Errorf("%s: %q %q %d", name, v.PacketID, v.AgentID, v.Messages)
		}
		for ; v.Next(&m); n++ {
			if string(m.Level) != "INFO" || string(m.Source) != "s" || string(m.Text) != "m" ||
				string(m.Metadata) != "\x81\xa1k\x07" || m.Timestamp().Unix() != 5 {
				t.Errorf("%s: %+v at %v", name, m, m.Timestamp())
			}
		}
		if n != 2 {
			t.Errorf("%s: %d messages", name, n)
		}
	}
}

// A body that passed no scan ends the view, wherever it is cut.
func TestViewOfACutBody(t *testing.T) {
	whole := golden(t, "packet")[4:]
	for end := range whole {
		v, m := protocol.NewView(whole[:end]), protocol.Message{}
		for v.Next(&m) {
			t.Errorf("cut at %d of %d: %+v", end, len(whole), m)
		}
	}
}

func TestViewAllocatesNothing(t *testing.T) {
	usual := protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "p", AgentID: "a", Messages: []protocol.LogMessage{
		{Timestamp: at(2026, 1), Metadata: map[string]any{"k": []any{1, "two"}}}, {}, {},
	}})
	for name, body := range map[string][]byte{
		"usual":     usual,
		"RFC 3339":  []byte(withTime("\xbe2026-01-02T03:04:05.123456789Z")),
		"float":     []byte(withTime("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00")),
		"any order": []byte("\x83" + keyMessages + "\x91\x84" + noMeta + ids),
	} {
		var last time.Time
		if n := testing.AllocsPerRun(100, func() {
			v, m := protocol.NewView(body), protocol.Message{}
			for v.Next(&m) {
				last = m.Timestamp().Time
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations (%v)", name, n, last)
		}
	}
}
