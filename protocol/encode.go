package protocol

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	library "github.com/vmihailenco/msgpack/v5"

	"sluice/internal/msgpack"
)

// AppendPacket appends the body of p, without a header, to dst. It allocates
// nothing but what dst needs to grow, as long as metadata holds plain values.
// The same packet always gives the same bytes: keys in fixed order, those of
// metadata sorted, every number in its shortest form.
//
// It does not judge: ids of a wrong length, or metadata nested beyond
// [MaxDepth], are for the receiver to refuse. Values of types that msgpack does
// not have are written as msgpack/v5 would, or as their text.
func AppendPacket(dst []byte, p *LogPacket) []byte {
	dst = append(dst, 0x83)
	dst = msgpack.AppendStr(append(dst, "\xa9packet_id"...), p.PacketID)
	dst = msgpack.AppendStr(append(dst, "\xa8agent_id"...), p.AgentID)
	dst = msgpack.AppendArrayHead(append(dst, "\xa8messages"...), len(p.Messages))
	for i := range p.Messages {
		dst = appendMessage(dst, &p.Messages[i])
	}
	return dst
}

func appendMessage(dst []byte, m *LogMessage) []byte {
	if m.Metadata == nil {
		dst = append(dst, 0x84)
	} else {
		dst = append(dst, 0x85)
	}
	dst = msgpack.AppendTime(append(dst, "\xa9timestamp"...), m.Timestamp.Time)
	dst = msgpack.AppendStr(append(dst, "\xa5level"...), string(m.Level))
	dst = msgpack.AppendStr(append(dst, "\xa6source"...), m.Source)
	dst = msgpack.AppendStr(append(dst, "\xa7message"...), m.Message)
	if m.Metadata != nil {
		dst = appendMap(append(dst, "\xa8metadata"...), m.Metadata, 4)
	}
	return dst
}

// appendMap writes m with its keys sorted; depth counts the containers open,
// this one included.
func appendMap(dst []byte, m map[string]any, depth int) []byte {
	dst = msgpack.AppendMapHead(dst, len(m))
	var few [16]string
	keys := few[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		dst = appendAny(msgpack.AppendStr(dst, k), m[k], depth)
	}
	return dst
}

func appendAny(dst []byte, v any, depth int) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, 0xc0)
	case bool:
		if v {
			return append(dst, 0xc3)
		}
		return append(dst, 0xc2)
	case string:
		return msgpack.AppendStr(dst, v)
	case int:
		return msgpack.AppendInt(dst, int64(v))
	case int64:
		return msgpack.AppendInt(dst, v)
	case uint64:
		return msgpack.AppendUint(dst, v)
	case float64:
		return msgpack.AppendFloat(dst, v)
	case float32:
		return binary.BigEndian.AppendUint32(append(dst, 0xca), math.Float32bits(v))
	case []byte:
		return msgpack.AppendBin(dst, v)
	case time.Time:
		return msgpack.AppendTime(dst, v)
	case Timestamp:
		return msgpack.AppendTime(dst, v.Time)
	case Ext:
		return append(msgpack.AppendExtHead(dst, byte(v.Type), len(v.Data)), v.Data...)
	case map[string]any:
		if depth > MaxDepth { // refused anyway; this only ends the recursion
			return append(dst, 0xc0)
		}
		return appendMap(dst, v, depth+1)
	case []any:
		if depth > MaxDepth {
			return append(dst, 0xc0)
		}
		dst = msgpack.AppendArrayHead(dst, len(v))
		for _, e := range v {
			dst = appendAny(dst, e, depth+1)
		}
		return dst
	default:
		return appendOther(dst, v)
	}
}

// appendOther is for values that somebody put into metadata by hand: structs,
// other integers, typed maps and slices.
func appendOther(dst []byte, v any) []byte {
	if i, isInt := integerOf(v); isInt {
		return msgpack.AppendInt(dst, i)
	}
	enc := library.GetEncoder()
	defer library.PutEncoder(enc)
	w := sliceWriter{dst}
	enc.Reset(&w)
	enc.SetSortMapKeys(true)
	enc.UseCompactInts(true)
	if err := enc.Encode(v); err != nil {
		return msgpack.AppendStr(dst, fmt.Sprint(v))
	}
	return w.b
}

func integerOf(v any) (int64, bool) {
	switch v := v.(type) {
	case int8:
		return int64(v), true
	case int16:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint32:
		return int64(v), true
	}
	return 0, false
}

type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}
