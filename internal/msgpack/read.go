package msgpack

import "encoding/binary"

// fixedSize gives, by first byte, the whole size of a value whose first byte
// says it all; 0 for those with a length or a count to read, and for 0xc1,
// which msgpack never uses.
var fixedSize = [256]uint8{
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // 0x00
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // 0x10
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // 0x20
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // 0x30
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // 0x40
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // 0x50
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // 0x60
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // 0x70
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // 0x80
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // 0x90
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, // 0xa0
	17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, // 0xb0
	1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 5, 9, 2, 3, 5, 9, // 0xc0
	2, 3, 5, 9, 3, 4, 6, 10, 18, 0, 0, 0, 0, 0, 0, 0, // 0xd0
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // 0xe0
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // 0xf0
}

// FixedSize is the whole size of a value whose first byte says it all, such as a
// number; 0 for any other.
func FixedSize(first byte) int { return int(fixedSize[first]) }

// ShortStr is the fast road for a str of up to 255 bytes at i: its bytes are
// b[start:end]. end is -1 if there is no such str, whatever the reason.
func ShortStr(b []byte, i int) (start, end int) {
	if uint(i) < uint(len(b)) {
		start = i + 1
		if c := b[i]; c&0xe0 == 0xa0 {
			end = start + int(c&0x1f)
		} else if c == 0xd9 && start < len(b) {
			end = start + 1 + int(b[start])
			start++
		}
		if end > 0 && end <= len(b) {
			return start, end
		}
	}
	return 0, -1
}

// Str reads any str at i: its bytes are b[start:end].
func Str(b []byte, i int) (start, end int, f Fault) {
	if i >= len(b) {
		return i, i, Truncated
	}
	var n int
	switch c := b[i]; {
	case c&0xe0 == 0xa0:
		start, n = i+1, int(c&0x1f)
	case c < 0xd9 || c > 0xdb:
		return i, i, WrongType
	default:
		if start, n = lengthAt(b, i, c-0xd9); n < 0 {
			return i, i, Truncated
		}
	}
	if n > len(b)-start {
		return i, i, Truncated
	}
	return start, start + n, OK
}

// MapHead reads the head of a map at i and returns its count of pairs and the
// index of its first key. Each pair takes two bytes at least, so a count that
// the rest of the body cannot hold is refused here, before anybody believes it.
func MapHead(b []byte, i int) (pairs, next int, f Fault) {
	if i >= len(b) {
		return 0, i, Truncated
	}
	switch c := b[i]; {
	case c&0xf0 == 0x80:
		pairs, next = int(c&0x0f), i+1
	case c == 0xde || c == 0xdf:
		if next, pairs = lengthAt(b, i, c-0xde+1); pairs < 0 {
			return 0, i, Truncated
		}
	default:
		return 0, i, WrongType
	}
	if pairs > (len(b)-next)>>1 {
		return 0, i, Truncated
	}
	return pairs, next, OK
}

// ArrayHead reads the head of an array, as MapHead does of a map.
func ArrayHead(b []byte, i int) (count, next int, f Fault) {
	if i >= len(b) {
		return 0, i, Truncated
	}
	switch c := b[i]; {
	case c&0xf0 == 0x90:
		count, next = int(c&0x0f), i+1
	case c == 0xdc || c == 0xdd:
		if next, count = lengthAt(b, i, c-0xdc+1); count < 0 {
			return 0, i, Truncated
		}
	default:
		return 0, i, WrongType
	}
	if count > len(b)-next {
		return 0, i, Truncated
	}
	return count, next, OK
}

// Ext reads an ext at i: its data are b[start:end].
func Ext(b []byte, i int) (typ byte, start, end int, f Fault) {
	if i >= len(b) {
		return 0, i, i, Truncated
	}
	n := 0
	switch c := b[i]; {
	case c >= 0xd4 && c <= 0xd8:
		start, n = i+1, 1<<(c-0xd4)
	case c >= 0xc7 && c <= 0xc9:
		if start, n = lengthAt(b, i, c-0xc7); n < 0 {
			return 0, i, i, Truncated
		}
	default:
		return 0, i, i, WrongType
	}
	if n >= len(b)-start { // the type takes a byte, too
		return 0, i, i, Truncated
	}
	return b[start], start + 1, start + 1 + n, OK
}

// Uint reads an integer that is not negative, in any of its forms: some encoders
// write positive numbers in the signed ones. A negative one is [OutOfRange].
func Uint(b []byte, i int) (n uint64, next int, f Fault) {
	if i >= len(b) {
		return 0, i, Truncated
	}
	c := b[i]
	if c < 0x80 {
		return uint64(c), i + 1, OK
	}
	if c >= 0xe0 { // a negative fixint
		return 0, i, OutOfRange
	}
	if c < 0xcc || c > 0xd3 {
		return 0, i, WrongType
	}
	next = i + int(fixedSize[c])
	if next > len(b) {
		return 0, i, Truncated
	}
	if c >= 0xd0 && b[i+1] >= 0x80 {
		return 0, next, OutOfRange
	}
	return number(b[i+1 : next]), next, OK
}

// number is big endian, of 1, 2, 4 or 8 bytes.
func number(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

// lengthAt reads the big endian length or count of 1<<width bytes that follows
// the first byte at i. n is negative if the bytes end before it does.
func lengthAt(b []byte, i int, width byte) (next, n int) {
	rest := b[i+1:]
	switch {
	case width == 0 && len(rest) >= 1:
		return i + 2, int(rest[0])
	case width == 1 && len(rest) >= 2:
		return i + 3, int(binary.BigEndian.Uint16(rest))
	case width == 2 && len(rest) >= 4:
		return i + 5, int(binary.BigEndian.Uint32(rest))
	}
	return i, -1
}
