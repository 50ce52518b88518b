package protocol

import (
	"errors"
	"fmt"

	"sluice/internal/msgpack"
)

// DecodePacket decodes a plain body into p, which is overwritten: the array of
// p.Messages is reused, everything else is new and keeps nothing of body. It
// scans first: an *[InvalidError] means that the body is no LogPacket. Whatever
// [Scan] accepts is decoded without an error.
//
// Who needs no structs goes through a [View] instead, which costs a fraction.
func DecodePacket(body []byte, p *LogPacket) error {
	var s Scanned
	if err := Scan(body, &s); err != nil {
		return err
	}
	*p = LogPacket{PacketID: string(s.PacketID), AgentID: string(s.AgentID), Messages: p.Messages[:0]}
	// The scan found that many messages, each with its four keys: the allocation
	// is bounded by a few times the body.
	if cap(p.Messages) < s.Messages {
		p.Messages = make([]LogMessage, 0, s.Messages)
	}
	v, m := NewView(body), Message{}
	for v.Next(&m) {
		p.Messages = append(p.Messages, LogMessage{
			Timestamp: m.Timestamp(),
			Level:     internLevel(m.Level),
			Source:    string(m.Source),
			Message:   string(m.Text),
			Metadata:  decodeMetadata(m.Metadata),
		})
	}
	if len(p.Messages) != s.Messages {
		return errShortView
	}
	return nil
}

// errShortView is what should never happen: the scan accepted a body that the
// view does not go through. The fuzz target FuzzReaders hunts for it.
var errShortView = errors.New("protocol: a packet that passed its scan cannot be read to its end")

// internLevel allocates nothing for one of the five.
func internLevel(s []byte) Level {
	for _, l := range [...]Level{LevelInfo, LevelWarning, LevelError, LevelDebug, LevelCritical} {
		if string(s) == string(l) {
			return l
		}
	}
	return Level(s)
}

func decodeMetadata(b []byte) map[string]any {
	var v msgpack.Value
	i, r := msgpack.Read(b, 0, &v)
	if r != ok || v.Kind != msgpack.KindMap {
		return nil // there is none
	}
	m, _ := decodeMap(b, i, v.N)
	return m
}

// decodeAny decodes the value at i and returns the index of the next one. It
// recurses, at most to the depth that the scan has allowed.
func decodeAny(b []byte, i int) (any, int) {
	var v msgpack.Value
	i, r := msgpack.Read(b, i, &v)
	if r != ok {
		return nil, len(b) // never, of what passed the scan
	}
	switch v.Kind {
	case msgpack.KindBool:
		return v.Bits == 1, i
	case msgpack.KindInt:
		return v.Int(), i
	case msgpack.KindUint:
		return v.Bits, i
	case msgpack.KindFloat32:
		return v.Float32(), i
	case msgpack.KindFloat64:
		return v.Float64(), i
	case msgpack.KindStr:
		return string(v.Data), i
	case msgpack.KindBin:
		return append([]byte{}, v.Data...), i
	case msgpack.KindExt:
		if t, isTime := (Ext{Type: v.Type, Data: v.Data}).Time(); isTime {
			return t, i
		}
		return Ext{Type: v.Type, Data: append([]byte{}, v.Data...)}, i
	case msgpack.KindArray:
		list := make([]any, v.N)
		for n := range list {
			list[n], i = decodeAny(b, i)
		}
		return list, i
	case msgpack.KindMap:
		return decodeMap(b, i, v.N)
	}
	return nil, i
}

// decodeMap decodes the pairs of a map. Every map has str keys, because JSON and
// our own encoder have no others: a key of another type becomes its text. Of two
// equal keys the later one counts.
func decodeMap(b []byte, i, pairs int) (map[string]any, int) {
	m := make(map[string]any, pairs)
	for range pairs {
		var key, value any
		key, i = decodeAny(b, i)
		value, i = decodeAny(b, i)
		switch key := key.(type) {
		case string:
			m[key] = value
		case []byte:
			m[string(key)] = value
		default:
			m[fmt.Sprint(key)] = value
		}
	}
	return m, i
}
