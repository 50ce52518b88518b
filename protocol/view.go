package protocol

import "sluice/internal/msgpack"

// View goes through the messages of a LogPacket where they lie, in one pass and
// without allocating: for those who count or copy and need no structs. Ids and
// the number of messages are there from the start; a message is read when it is
// asked for. Not safe for concurrent use.
type View struct {
	Scanned
	body []byte
	next int // index of the next message
	left int // messages still to come
}

// Message is one LogMessage. Everything in it is borrowed from the body.
type Message struct {
	Level, Source, Text []byte
	Metadata            []byte // a msgpack map with str keys; nil if there is none
	timestamp           []byte // of any form that the wire allows
}

// NewView returns a view of a plain body that passed [Scan]. Of one that did
// not, the view may be empty or end early; nothing worse happens.
func NewView(body []byte) View {
	v := View{body: body}
	v.next = scanUsualHead(body, &v.Scanned)
	if v.next < 0 {
		v.Scanned = Scanned{}
		if v.next = viewHead(body, &v.Scanned); v.next < 0 {
			return View{}
		}
	}
	v.left = v.Messages
	return v
}

// viewHead fills s from a packet whose keys are in any order, and returns the
// index of its first message, or -1.
func viewHead(b []byte, s *Scanned) int {
	first := -1
	pairs, i, r := msgpack.MapHead(b, 0)
	for ; pairs > 0 && r == ok; pairs-- {
		var key []byte
		if key, i, r = viewStr(b, i); r != ok {
			break
		}
		switch string(key) {
		case "packet_id":
			s.PacketID, i, r = viewStr(b, i)
		case "agent_id":
			s.AgentID, i, r = viewStr(b, i)
		case "messages":
			if s.Messages, first, r = msgpack.ArrayHead(b, i); r == ok && pairs > 1 {
				i, r = msgpack.Skip(b, i, MaxDepth-1)
			}
		default:
			i, r = msgpack.Skip(b, i, MaxDepth-1)
		}
	}
	if r != ok {
		return -1
	}
	return first
}

func viewStr(b []byte, i int) ([]byte, int, reason) {
	start, end := msgpack.ShortStr(b, i)
	if end < 0 {
		var r reason
		if start, end, r = msgpack.Str(b, i); r != ok {
			return nil, i, r
		}
	}
	return b[start:end:end], end, ok
}

// Next reads the next message into m; false means that there is none.
func (v *View) Next(m *Message) bool {
	if v.left <= 0 {
		return false
	}
	v.left--
	next, r := m.read(v.body, v.next)
	if r != ok {
		v.left = 0
		return false
	}
	v.next = next
	return true
}

// Timestamp resolves the time of the message. Zero means that the sender gave
// none that can be understood: then take the time of receipt.
func (m *Message) Timestamp() Timestamp { return resolve(m.timestamp) }

// read reads the message at i and returns the index of the next one.
func (m *Message) read(b []byte, i int) (int, reason) {
	*m = Message{}
	pairs, i, r := msgpack.MapHead(b, i)
	for ; pairs > 0 && r == ok; pairs-- {
		var key []byte
		if key, i, r = viewStr(b, i); r != ok {
			break
		}
		start := i
		switch string(key) {
		case "timestamp":
			if i, r = scanTimestamp(b, i); r == ok {
				m.timestamp = b[start:i:i]
			}
		case "level":
			m.Level, i, r = viewStr(b, i)
		case "source":
			m.Source, i, r = viewStr(b, i)
		case "message":
			m.Text, i, r = viewStr(b, i)
		case "metadata":
			if i, r = scanMetadata(b, i); r == ok && b[start] != 0xc0 { // nil
				m.Metadata = b[start:i:i]
			}
		default:
			i, r = msgpack.Skip(b, i, MaxDepth-3)
		}
	}
	return i, r
}
