package walk

import (
	"encoding/binary"
	"time"
)

// Message is one LogMessage. Everything in it is borrowed from the body.
type Message struct {
	Timestamp           Value
	Level, Source, Text []byte
	Metadata            []byte // the raw msgpack map; nil if absent or nil
}

// Messages is the walk over a body's messages. Not safe for concurrent use.
type Messages struct {
	body []byte
	at   int
	left int
}

// Over begins a walk over the messages of a plain body that passed the scan.
func Over(body []byte) Messages {
	var v Value
	at := Read(body, 0, &v)
	if at < 0 || v.Kind != Map {
		return Messages{}
	}
	for range v.N {
		var key []byte
		if key, at = text(body, at); at < 0 {
			return Messages{}
		}
		if string(key) == "messages" {
			if at = Read(body, at, &v); at < 0 || v.Kind != Array {
				return Messages{}
			}
			return Messages{body: body, at: at, left: v.N}
		}
		if _, next := text(body, at); next >= 0 { // an id
			at = next
		} else if at = Skip(body, at); at < 0 {
			return Messages{}
		}
	}
	return Messages{}
}

// Next reads the next message into m; false means that there is none.
func (w *Messages) Next(m *Message) bool {
	if w.left <= 0 {
		return false
	}
	w.left--
	*m = Message{}
	if w.at = m.read(w.body, w.at); w.at < 0 {
		w.left = 0
		return false
	}
	return true
}

// read reads one message and returns where the next one begins, or -1.
func (m *Message) read(b []byte, at int) int {
	var v Value
	if at = Read(b, at, &v); at < 0 || v.Kind != Map {
		return -1
	}
	for range v.N {
		key, start := text(b, at)
		if start < 0 {
			return -1
		}
		switch string(key) {
		case "timestamp":
			at = Read(b, start, &m.Timestamp)
		case "level":
			m.Level, at = text(b, start)
		case "source":
			m.Source, at = text(b, start)
		case "message":
			m.Text, at = text(b, start)
		case "metadata":
			if at = Skip(b, start); at >= 0 && b[start] != 0xc0 { // nil
				m.Metadata = b[start:at]
			}
		default:
			at = Skip(b, start)
		}
		if at < 0 {
			return -1
		}
	}
	return at
}

// The years that RFC 3339 can write, as Unix seconds.
const minSeconds, maxSeconds = -62167219200, 253402300799

// Time reads a timestamp in any of its forms: msgpack's own, RFC 3339 text,
// Unix seconds. false means that it is no time in the years 0 to 9999; who
// needs one takes the time of receipt.
func (v Value) Time() (time.Time, bool) {
	switch v.Kind {
	case Ext:
		if v.Type != -1 {
			return time.Time{}, false
		}
		switch len(v.Data) {
		case 4:
			return unix(int64(binary.BigEndian.Uint32(v.Data)), 0)
		case 8:
			n := binary.BigEndian.Uint64(v.Data)
			return unix(int64(n&(1<<34-1)), int64(n>>34))
		case 12:
			return unix(int64(binary.BigEndian.Uint64(v.Data[4:])), int64(binary.BigEndian.Uint32(v.Data)))
		}
	case Str:
		t, err := time.Parse(time.RFC3339Nano, string(v.Data))
		// An offset can carry the year over the edge.
		return t.UTC(), err == nil && t.Unix() >= minSeconds && t.Unix() <= maxSeconds
	case Int:
		return unix(v.Int(), 0)
	case Float:
		f := v.Float()
		if !(f >= minSeconds && f <= maxSeconds) { // NaN is neither
			return time.Time{}, false
		}
		whole := int64(f)
		// A float of today holds a quarter of a microsecond; more digits
		// would be noise.
		return unix(whole, int64((f-float64(whole))*1e6)*1000)
	}
	return time.Time{}, false
}

func unix(seconds, nanos int64) (time.Time, bool) {
	if seconds < minSeconds || seconds > maxSeconds || nanos > 999999999 {
		return time.Time{}, false
	}
	return time.Unix(seconds, nanos).UTC(), true
}
