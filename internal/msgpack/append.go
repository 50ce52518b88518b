package msgpack

// The Append functions write one value, or the head of one, in its shortest
// form, and allocate nothing but what dst needs to grow.

import (
	"encoding/binary"
	"math"
	"time"
)

// AppendStr appends a str. Whether its bytes are UTF-8 is not judged.
func AppendStr[T string | []byte](dst []byte, s T) []byte {
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

// AppendBin appends a bin.
func AppendBin(dst, b []byte) []byte {
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

// AppendArrayHead appends the head of an array of n values, which must follow.
func AppendArrayHead(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x90|byte(n))
	case n < 1<<16:
		return append(dst, 0xdc, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 0xdd), uint32(n))
	}
}

// AppendMapHead appends the head of a map of n pairs, which must follow.
func AppendMapHead(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x80|byte(n))
	case n < 1<<16:
		return append(dst, 0xde, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 0xdf), uint32(n))
	}
}

// AppendExtHead appends the head of an ext of n bytes, which must follow.
func AppendExtHead(dst []byte, typ byte, n int) []byte {
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

// AppendUint appends an integer.
func AppendUint(dst []byte, n uint64) []byte {
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

// AppendInt appends an integer.
func AppendInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return AppendUint(dst, uint64(n))
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

// AppendTime appends the shortest msgpack timestamp: 32, 64 or 96 bits.
func AppendTime(dst []byte, t time.Time) []byte {
	sec, nsec := t.Unix(), uint64(t.Nanosecond())
	switch {
	case sec>>34 != 0: // before 1970, or after 2514
		dst = append(dst, 0xc7, 12, TimestampExt)
		dst = binary.BigEndian.AppendUint32(dst, uint32(nsec))
		return binary.BigEndian.AppendUint64(dst, uint64(sec))
	case nsec == 0 && sec>>32 == 0:
		return binary.BigEndian.AppendUint32(append(dst, 0xd6, TimestampExt), uint32(sec))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xd7, TimestampExt), nsec<<34|uint64(sec))
	}
}

// AppendFloat appends a 64-bit float.
func AppendFloat(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
}
