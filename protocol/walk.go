package protocol

import (
	"encoding/binary"

	"sluice/protocol/wire"
)

// timestampExt is ext type -1, the timestamp of the msgpack specification.
const timestampExt = wire.TimestampExt

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

// shortStr is the fast road for a str of up to 255 bytes at i: its bytes are
// b[start:end]. end is -1 if there is no such str, whatever the reason.
func shortStr(b []byte, i int) (start, end int) {
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

// strHead reads any str at i: its bytes are b[start:end].
func strHead(b []byte, i int) (start, end int, r reason) {
	if i >= len(b) {
		return i, i, truncated
	}
	var n int
	switch c := b[i]; {
	case c&0xe0 == 0xa0:
		start, n = i+1, int(c&0x1f)
	case c < 0xd9 || c > 0xdb:
		return i, i, wrongType
	default:
		if start, n = lengthAt(b, i, c-0xd9); n < 0 {
			return i, i, truncated
		}
	}
	if n > len(b)-start {
		return i, i, truncated
	}
	return start, start + n, ok
}

// mapHead reads the head of a map at i and returns its count of pairs and the
// index of its first key. Each pair takes two bytes at least, so a count that
// the rest of the body cannot hold is refused here, before anybody believes it.
func mapHead(b []byte, i int) (pairs, next int, r reason) {
	if i >= len(b) {
		return 0, i, truncated
	}
	switch c := b[i]; {
	case c&0xf0 == 0x80:
		pairs, next = int(c&0x0f), i+1
	case c == 0xde || c == 0xdf:
		if next, pairs = lengthAt(b, i, c-0xde+1); pairs < 0 {
			return 0, i, truncated
		}
	default:
		return 0, i, wrongType
	}
	if 2*pairs > len(b)-next {
		return 0, i, truncated
	}
	return pairs, next, ok
}

// arrayHead reads the head of an array, as mapHead does of a map.
func arrayHead(b []byte, i int) (count, next int, r reason) {
	if i >= len(b) {
		return 0, i, truncated
	}
	switch c := b[i]; {
	case c&0xf0 == 0x90:
		count, next = int(c&0x0f), i+1
	case c == 0xdc || c == 0xdd:
		if next, count = lengthAt(b, i, c-0xdc+1); count < 0 {
			return 0, i, truncated
		}
	default:
		return 0, i, wrongType
	}
	if count > len(b)-next {
		return 0, i, truncated
	}
	return count, next, ok
}

// extHead reads an ext at i: its data are b[start:end].
func extHead(b []byte, i int) (typ byte, start, end int, r reason) {
	if i >= len(b) {
		return 0, i, i, truncated
	}
	n := 0
	switch c := b[i]; {
	case c >= 0xd4 && c <= 0xd8:
		start, n = i+1, 1<<(c-0xd4)
	case c >= 0xc7 && c <= 0xc9:
		if start, n = lengthAt(b, i, c-0xc7); n < 0 {
			return 0, i, i, truncated
		}
	default:
		return 0, i, i, wrongType
	}
	if n >= len(b)-start { // the type takes a byte, too
		return 0, i, i, truncated
	}
	return b[start], start + 1, start + 1 + n, ok
}

// lengthAt reads the big endian length or count of 1<<width bytes that follows
// the first byte at i. n is -1 if the bytes end before it does.
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

// walk steps over one value of any type at i, with open containers around it,
// and returns the index after it. Its stack holds, for each container that it
// opened, how many values are still to come; 128 bytes, whatever is sent.
func walk(b []byte, i, open int) (int, reason) {
	var stack [MaxDepth]uint32
	top := 0
	left := uint32(1) // values to come at this level
	for {
		for left == 0 {
			if top == 0 {
				return i, ok
			}
			top--
			left = stack[top]
		}
		left--
		if i >= len(b) {
			return i, truncated
		}
		c := b[i]
		if size := int(fixedSize[c]); size > 0 {
			if size > len(b)-i {
				return i, truncated
			}
			i += size
			continue
		}
		var count int
		var r reason
		switch {
		case c >= 0xd9 && c <= 0xdb: // str 8, 16, 32
			_, i, r = strHead(b, i)
		case c >= 0xc4 && c <= 0xc6: // bin 8, 16, 32
			if i, count = lengthAt(b, i, c-0xc4); count < 0 || count > len(b)-i {
				return i, truncated
			}
			i += count
		case c >= 0xc7 && c <= 0xc9: // ext 8, 16, 32
			_, _, i, r = extHead(b, i)
		case c&0xf0 == 0x80 || c >= 0xde: // map
			if count, i, r = mapHead(b, i); r == ok {
				// Twice a count of pairs fits: it was compared with what is left.
				if left, top, r = push(&stack, top, open, left, 2*count); r != ok {
					return i, r
				}
			}
		case c == 0xc1:
			return i, reserved
		default: // array
			if count, i, r = arrayHead(b, i); r == ok {
				if left, top, r = push(&stack, top, open, left, count); r != ok {
					return i, r
				}
			}
		}
		if r != ok {
			return i, r
		}
	}
}

// push opens a container of count values.
func push(stack *[MaxDepth]uint32, top, open int, left uint32, count int) (uint32, int, reason) {
	if top+open >= MaxDepth {
		return left, top, tooDeep
	}
	stack[top] = left
	return uint32(count), top + 1, ok
}
