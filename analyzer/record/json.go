package record

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"sluice/internal/msgpack"
	"sluice/protocol"
)

// appendString appends s as a JSON string; invalid UTF-8 becomes U+FFFD.
func appendString(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		switch {
		case c >= utf8.RuneSelf:
			dst = append(dst, "\ufffd"...)
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

// appendValue appends the msgpack value at b[at:] as JSON and returns where the
// next begins. Binary data is base64, an ext of unknown
// meaning an object {"ext", "data"}, a number that JSON lacks null, and a map
// key that is no string the text of its JSON. Its recursion is bounded by the
// scan's MaxDepth.
func appendValue(dst, b []byte, at int) ([]byte, int) {
	var v msgpack.Value
	at, fault := msgpack.Read(b, at, &v)
	if fault != msgpack.OK { // never, of what passed the scan
		return append(dst, "null"...), len(b)
	}
	switch v.Kind {
	case msgpack.KindBool:
		dst = strconv.AppendBool(dst, v.Bits == 1)
	case msgpack.KindInt:
		dst = strconv.AppendInt(dst, v.Int(), 10)
	case msgpack.KindUint:
		dst = strconv.AppendUint(dst, v.Bits, 10)
	case msgpack.KindFloat32, msgpack.KindFloat64:
		dst = appendFloat(dst, v.Float64())
	case msgpack.KindStr:
		dst = appendString(dst, v.Data)
	case msgpack.KindBin:
		dst = appendBase64(dst, v.Data)
	case msgpack.KindExt:
		dst = appendExt(dst, &v)
	case msgpack.KindArray:
		dst = append(dst, '[')
		for i := range v.N {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst, at = appendValue(dst, b, at)
		}
		dst = append(dst, ']')
	case msgpack.KindMap:
		dst = append(dst, '{')
		for i := range v.N {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst, at = appendKey(dst, b, at)
			dst = append(dst, ':')
			dst, at = appendValue(dst, b, at)
		}
		dst = append(dst, '}')
	default:
		dst = append(dst, "null"...)
	}
	return dst, at
}

func appendKey(dst, b []byte, at int) ([]byte, int) {
	if at < len(b) && msgpack.IsStr(b[at]) {
		return appendValue(dst, b, at)
	}
	text, at := appendValue(nil, b, at)
	return appendString(dst, text), at
}

func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

func appendBase64(dst, data []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, data)
	return append(dst, '"')
}

func appendExt(dst []byte, v *msgpack.Value) []byte {
	if t, ok := (protocol.Ext{Type: v.Type, Data: v.Data}).Time(); ok {
		return appendTime(dst, t)
	}
	dst = append(dst, `{"ext":`...)
	dst = strconv.AppendInt(dst, int64(v.Type), 10)
	dst = append(dst, `,"data":`...)
	return append(appendBase64(dst, v.Data), '}')
}

func appendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}
