package protocol

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/vmihailenco/msgpack/v5"
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
	dst = appendStr(append(dst, "\xa9packet_id"...), p.PacketID)
	dst = appendStr(append(dst, "\xa8agent_id"...), p.AgentID)
	dst = appendArrayHead(append(dst, "\xa8messages"...), len(p.Messages))
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
	dst = appendTime(append(dst, "\xa9timestamp"...), m.Timestamp.Time)
	dst = appendStr(append(dst, "\xa5level"...), string(m.Level))
	dst = appendStr(append(dst, "\xa6source"...), m.Source)
	dst = appendStr(append(dst, "\xa7message"...), m.Message)
	if m.Metadata != nil {
		dst = appendMap(append(dst, "\xa8metadata"...), m.Metadata, 4)
	}
	return dst
}

func appendStr(dst []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n < 1<<8:
		dst = append(dst, 0xd9, byte(n))
	case n < 1<<16:
		dst = append(dst, 0xda, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	}
	return append(dst, s...)
}

func appendBin(dst, b []byte) []byte {
	switch n := len(b); {
	case n < 1<<8:
		dst = append(dst, 0xc4, byte(n))
	case n < 1<<16:
		dst = append(dst, 0xc5, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(n))
	}
	return append(dst, b...)
}

func appendArrayHead(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x90|byte(n))
	case n < 1<<16:
		return append(dst, 0xdc, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 0xdd), uint32(n))
	}
}

func appendMapHead(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x80|byte(n))
	case n < 1<<16:
		return append(dst, 0xde, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 0xdf), uint32(n))
	}
}

// appendExtHead chooses the shortest of the eight forms.
func appendExtHead(dst []byte, typ byte, n int) []byte {
	switch {
	case n == 1 || n == 2 || n == 4 || n == 8 || n == 16:
		code := byte(0xd4)
		for 1<<(code-0xd4) < n {
			code++
		}
		return append(dst, code, typ)
	case n < 1<<8:
		return append(dst, 0xc7, byte(n), typ)
	case n < 1<<16:
		return append(dst, 0xc8, byte(n>>8), byte(n), typ)
	default:
		return append(binary.BigEndian.AppendUint32(append(dst, 0xc9), uint32(n)), typ)
	}
}

func appendUint(dst []byte, n uint64) []byte {
	switch {
	case n < 1<<7:
		return append(dst, byte(n))
	case n < 1<<8:
		return append(dst, 0xcc, byte(n))
	case n < 1<<16:
		return append(dst, 0xcd, byte(n>>8), byte(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xcf), n)
	}
}

func appendInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return appendUint(dst, uint64(n))
	case n >= -32:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, 0xd0, byte(n))
	case n >= math.MinInt16:
		return append(dst, 0xd1, byte(n>>8), byte(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(n))
	}
}

// appendTime writes the shortest msgpack timestamp: 32, 64 or 96 bits.
func appendTime(dst []byte, t time.Time) []byte {
	sec, nsec := t.Unix(), uint64(t.Nanosecond())
	switch {
	case sec>>34 != 0: // before 1970, or after 2514
		dst = append(dst, 0xc7, 12, timestampExt)
		dst = binary.BigEndian.AppendUint32(dst, uint32(nsec))
		return binary.BigEndian.AppendUint64(dst, uint64(sec))
	case nsec == 0 && sec>>32 == 0:
		return binary.BigEndian.AppendUint32(append(dst, 0xd6, timestampExt), uint32(sec))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xd7, timestampExt), nsec<<34|uint64(sec))
	}
}

// appendMap writes m with its keys sorted; depth counts the containers open,
// this one included.
func appendMap(dst []byte, m map[string]any, depth int) []byte {
	dst = appendMapHead(dst, len(m))
	var few [16]string
	keys := few[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		dst = appendAny(appendStr(dst, k), m[k], depth)
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
		return appendStr(dst, v)
	case int:
		return appendInt(dst, int64(v))
	case int64:
		return appendInt(dst, v)
	case uint64:
		return appendUint(dst, v)
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(v))
	case float32:
		return binary.BigEndian.AppendUint32(append(dst, 0xca), math.Float32bits(v))
	case []byte:
		return appendBin(dst, v)
	case time.Time:
		return appendTime(dst, v)
	case Timestamp:
		return appendTime(dst, v.Time)
	case Ext:
		return append(appendExtHead(dst, byte(v.Type), len(v.Data)), v.Data...)
	case map[string]any:
		if depth > MaxDepth { // refused anyway; this only ends the recursion
			return append(dst, 0xc0)
		}
		return appendMap(dst, v, depth+1)
	case []any:
		if depth > MaxDepth {
			return append(dst, 0xc0)
		}
		dst = appendArrayHead(dst, len(v))
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
		return appendInt(dst, i)
	}
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	w := sliceWriter{dst}
	enc.Reset(&w)
	enc.SetSortMapKeys(true)
	enc.UseCompactInts(true)
	if err := enc.Encode(v); err != nil {
		return appendStr(dst, fmt.Sprint(v))
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
