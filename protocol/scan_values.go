package protocol

import "sluice/internal/msgpack"

// scanTimestamp accepts a msgpack timestamp, a str, an integer or a float.
func scanTimestamp(b []byte, i int) (int, reason) {
	if i >= len(b) {
		return i, truncated
	}
	size, typeAt := 0, 0
	switch c := b[i]; {
	case c == 0xd7: // timestamp 64, what encoders write
		size, typeAt = 10, 1
	case c == 0xd6: // timestamp 32
		size, typeAt = 6, 1
	case c == 0xc7: // timestamp 96
		if len(b)-i < 2 {
			return i, truncated
		}
		if n := b[i+1]; n != 4 && n != 8 && n != 12 {
			return i, wrongType
		}
		size, typeAt = 3+int(b[i+1]), 2
	case c < 0x80 || c >= 0xe0 || c >= 0xca && c <= 0xd3: // int, uint, float
		size = msgpack.FixedSize(c)
	case c&0xe0 == 0xa0 || c >= 0xd9 && c <= 0xdb:
		_, end, r := msgpack.Str(b, i)
		return end, r
	case c == 0xc8 || c == 0xc9: // a timestamp with a longer header than it needs
		return scanLongTimestamp(b, i)
	default:
		return i, wrongType
	}
	if len(b)-i < size {
		return i, truncated
	}
	if typeAt > 0 && b[i+typeAt] != msgpack.TimestampExt {
		return i, wrongType
	}
	return i + size, ok
}

// scanLongTimestamp is a timestamp in an ext 16 or ext 32. Nobody writes that;
// it is the same value all the same.
func scanLongTimestamp(b []byte, i int) (int, reason) {
	typ, start, end, r := msgpack.Ext(b, i)
	if r != ok {
		return i, r
	}
	if n := end - start; typ != msgpack.TimestampExt || n != 4 && n != 8 && n != 12 {
		return i, wrongType
	}
	return end, ok
}

// scanMetadata accepts nil, or a map with str keys and any values. It is the
// fourth container down: packet, messages, message, metadata.
func scanMetadata(b []byte, i int) (int, reason) {
	if i < len(b) && b[i] == 0xc0 {
		return i + 1, ok
	}
	left, i, r := msgpack.MapHead(b, i)
	if r != ok {
		return i, r
	}
	for ; left > 0; left-- {
		_, end := msgpack.ShortStr(b, i)
		if end < 0 {
			if _, end, r = msgpack.Str(b, i); r != ok {
				return i, keyFault(r)
			}
		}
		// Most values are short strings: save them the call.
		i = end
		if _, end = msgpack.ShortStr(b, i); end >= 0 {
			i = end
			continue
		}
		if i, r = msgpack.Skip(b, i, MaxDepth-4); r != ok {
			return i, r
		}
	}
	return i, ok
}
