package protocol

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

func decodeTimestamp(dec *msgpack.Decoder) (Timestamp, error) {
	v, err := decodeAny(dec)
	if err != nil {
		return Timestamp{}, err
	}
	switch v := v.(type) {
	case time.Time:
		return Timestamp{v}, nil
	case string:
		return ParseTimestamp(v), nil
	case int64:
		return unixTimestamp(v, 0), nil
	case float64:
		return UnixTimestamp(v), nil
	case float32:
		return UnixTimestamp(float64(v)), nil
	case uint64: // beyond int64, so beyond any year
		return Timestamp{}, nil
	case Ext:
		if v.Type == -1 { // a timestamp outside the years 0 to 9999
			return Timestamp{}, nil
		}
	}
	return Timestamp{}, invalid(fieldTimestamp, wrongType)
}

func decodeMetadata(dec *msgpack.Decoder) (map[string]any, error) {
	v, err := decodeAny(dec)
	if err != nil || v == nil {
		return nil, err
	}
	m, isMap := v.(map[string]any)
	if !isMap {
		return nil, invalid(fieldMetadata, wrongType)
	}
	return m, nil
}

// decodeAny decodes one value of any type. It recurses, at most to the depth
// that the scan has allowed.
func decodeAny(dec *msgpack.Decoder) (any, error) {
	c, err := dec.PeekCode()
	if err != nil {
		return nil, err
	}
	switch {
	case c < 0x80, c >= 0xe0, c >= 0xcc && c <= 0xce, c >= 0xd0 && c <= 0xd3:
		return dec.DecodeInt64()
	case c == 0xcf:
		n, err := dec.DecodeUint64()
		if n > math.MaxInt64 || err != nil {
			return n, err
		}
		return int64(n), nil
	case c&0xf0 == 0x80, c == 0xde, c == 0xdf:
		return decodeMap(dec)
	case c&0xf0 == 0x90, c == 0xdc, c == 0xdd:
		return decodeArray(dec)
	case c&0xe0 == 0xa0, c >= 0xd9 && c <= 0xdb:
		return dec.DecodeString()
	case c == 0xc0:
		return nil, dec.DecodeNil()
	case c == 0xc2, c == 0xc3:
		return dec.DecodeBool()
	case c >= 0xc4 && c <= 0xc6:
		return dec.DecodeBytes()
	case c == 0xca:
		return dec.DecodeFloat32()
	case c == 0xcb:
		return dec.DecodeFloat64()
	case c == 0xc1:
		return nil, invalid(fieldBody, reserved)
	default:
		return decodeExt(dec)
	}
}

func decodeArray(dec *msgpack.Decoder) (any, error) {
	n, err := dec.DecodeArrayLen()
	if err != nil {
		return nil, err
	}
	list := make([]any, n)
	for i := range list {
		if list[i], err = decodeAny(dec); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// decodeMap gives every map str keys, because JSON and our own encoder have no
// others: a key of another type becomes its text. Of two equal keys the later
// one counts.
func decodeMap(dec *msgpack.Decoder) (any, error) {
	n, err := dec.DecodeMapLen()
	if err != nil {
		return nil, err
	}
	m := make(map[string]any, n)
	for range n {
		key, err := decodeAny(dec)
		if err != nil {
			return nil, err
		}
		value, err := decodeAny(dec)
		if err != nil {
			return nil, err
		}
		switch key := key.(type) {
		case string:
			m[key] = value
		case []byte:
			m[string(key)] = value
		default:
			m[fmt.Sprint(key)] = value
		}
	}
	return m, nil
}

func decodeExt(dec *msgpack.Decoder) (any, error) {
	typ, n, err := dec.DecodeExtHeader()
	if err != nil {
		return nil, err
	}
	data := make([]byte, n)
	if err := dec.ReadFull(data); err != nil {
		return nil, err
	}
	if typ == -1 {
		if t, isTime := timeOf(data); isTime {
			return t, nil
		}
	}
	return Ext{Type: typ, Data: data}, nil
}

// timeOf reads the three forms of a msgpack timestamp. What no calendar of
// ours can write stays an Ext.
func timeOf(data []byte) (time.Time, bool) {
	var sec, nsec uint64
	switch len(data) {
	case 4:
		sec = uint64(binary.BigEndian.Uint32(data))
	case 8:
		v := binary.BigEndian.Uint64(data)
		sec, nsec = v&(1<<34-1), v>>34
	case 12:
		nsec, sec = uint64(binary.BigEndian.Uint32(data)), binary.BigEndian.Uint64(data[4:])
	default:
		return time.Time{}, false
	}
	if int64(sec) == zeroSeconds && nsec == 0 {
		return time.Time{}, true
	}
	t := unixTimestamp(int64(sec), int64(nsec)).Time
	return t, !t.IsZero()
}

// zeroSeconds is the Unix time of Go's zero time, the first of January of the
// year 1: what a packet without a time carries.
const zeroSeconds = -62135596800
