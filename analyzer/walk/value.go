// Package walk goes through the messages of a LogPacket where they lie, in one
// pass and without allocating: for those who count or copy and need no structs.
//
// Bodies must have passed protocol.Scan. A body that has not ends the walk
// early; nothing worse happens.
package walk

import (
	"encoding/binary"
	"math"
)

// Kind is what a msgpack value is.
type Kind uint8

// The kinds. Int holds what fits an int64, Uint only what does not.
const (
	Nil Kind = iota
	Bool
	Int
	Uint
	Float
	Str
	Bin
	Ext
	Array
	Map
)

// Value is one msgpack value, or the beginning of an array or a map. Data is
// borrowed from the body.
type Value struct {
	Kind Kind
	Type int8   // of an Ext
	N    int    // elements of an Array, pairs of a Map, that follow
	Bits uint64 // Bool (0, 1), Int (as int64), Uint, Float (IEEE 754)
	Data []byte // of a Str, Bin or Ext
}

// Int returns the value of an Int.
func (v Value) Int() int64 { return int64(v.Bits) }

// Float returns the value of a Float.
func (v Value) Float() float64 { return math.Float64frombits(v.Bits) }

// Read reads the value at b[at:] into v and returns where the next one begins:
// behind it, or at its first element. It returns -1 if b ends before.
func Read(b []byte, at int, v *Value) int {
	if at < 0 || at >= len(b) {
		return -1
	}
	c := b[at]
	at++
	switch {
	case c >= 0xa0 && c <= 0xbf:
		return data(b, at, int(c&0x1f), Str, v)
	case c <= 0x7f:
		*v = Value{Kind: Int, Bits: uint64(c)}
		return at
	case c <= 0x8f:
		*v = Value{Kind: Map, N: int(c & 0x0f)}
		return at
	case c <= 0x9f:
		*v = Value{Kind: Array, N: int(c & 0x0f)}
		return at
	case c >= 0xe0:
		*v = Value{Kind: Int, Bits: uint64(int64(int8(c)))}
		return at
	}
	return readMarked(b, at, c, v)
}

// readMarked reads a value whose first byte says only what it is.
func readMarked(b []byte, at int, c byte, v *Value) int {
	switch c {
	case 0xc0, 0xc1:
		*v = Value{}
		return at
	case 0xc2, 0xc3:
		*v = Value{Kind: Bool, Bits: uint64(c & 1)}
		return at
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8: // fixext 1 to 16
		return ext(b, at, 1<<(c-0xd4), v)
	}
	size := int(sizes[c-0xc0]) // of the number or length that follows
	if size == 0 || size > len(b)-at {
		return -1
	}
	n := number(b[at:], size)
	at += size
	switch c {
	case 0xc4, 0xc5, 0xc6:
		return data(b, at, int(n), Bin, v)
	case 0xc7, 0xc8, 0xc9:
		return ext(b, at, int(n), v)
	case 0xca:
		*v = Value{Kind: Float, Bits: math.Float64bits(float64(math.Float32frombits(uint32(n))))}
	case 0xcb:
		*v = Value{Kind: Float, Bits: n}
	case 0xcc, 0xcd, 0xce, 0xcf:
		*v = Value{Kind: Int, Bits: n}
		if n > math.MaxInt64 {
			v.Kind = Uint
		}
	case 0xd0, 0xd1, 0xd2, 0xd3:
		shift := 64 - 8*size
		*v = Value{Kind: Int, Bits: uint64(int64(n<<shift) >> shift)}
	case 0xd9, 0xda, 0xdb:
		return data(b, at, int(n), Str, v)
	case 0xdc, 0xdd:
		*v = Value{Kind: Array, N: int(n)}
	case 0xde, 0xdf:
		*v = Value{Kind: Map, N: int(n)}
	}
	return at
}

// sizes tells for the first bytes from 0xc0 how many bytes of number or length
// follow.
var sizes = [32]byte{
	0xc4 - 0xc0: 1, 0xc5 - 0xc0: 2, 0xc6 - 0xc0: 4, 0xc7 - 0xc0: 1, 0xc8 - 0xc0: 2, 0xc9 - 0xc0: 4,
	0xca - 0xc0: 4, 0xcb - 0xc0: 8, 0xcc - 0xc0: 1, 0xcd - 0xc0: 2, 0xce - 0xc0: 4, 0xcf - 0xc0: 8,
	0xd0 - 0xc0: 1, 0xd1 - 0xc0: 2, 0xd2 - 0xc0: 4, 0xd3 - 0xc0: 8, 0xd9 - 0xc0: 1, 0xda - 0xc0: 2,
	0xdb - 0xc0: 4, 0xdc - 0xc0: 2, 0xdd - 0xc0: 4, 0xde - 0xc0: 2, 0xdf - 0xc0: 4,
}

func number(b []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

func data(b []byte, at, n int, kind Kind, v *Value) int {
	if n > len(b)-at {
		return -1
	}
	*v = Value{Kind: kind, Data: b[at : at+n]}
	return at + n
}

func ext(b []byte, at, n int, v *Value) int {
	if n >= len(b)-at {
		return -1
	}
	*v = Value{Kind: Ext, Type: int8(b[at]), Data: b[at+1 : at+1+n]}
	return at + 1 + n
}

// text reads the str at b[at:] and returns where the next value begins. -1
// means that there is none, or that b ends before.
func text(b []byte, at int) ([]byte, int) {
	if uint(at) >= uint(len(b)) {
		return nil, -1
	}
	n, size := int(b[at]&0x1f), 0 // of a fixstr; bytes of the length that follows
	if c := b[at]; c&0xe0 != 0xa0 {
		if c < 0xd9 || c > 0xdb {
			return nil, -1
		}
		if size = 1 << (c - 0xd9); size >= len(b)-at {
			return nil, -1
		}
		n = int(number(b[at+1:], size))
	}
	at += 1 + size
	if n > len(b)-at {
		return nil, -1
	}
	return b[at : at+n], at + n
}

// Skip returns where the value after the one at b[at:] begins, its elements
// included, or -1.
func Skip(b []byte, at int) int {
	var v Value
	for open := 1; open > 0; open-- {
		if at = Read(b, at, &v); at < 0 {
			return -1
		}
		switch v.Kind {
		case Array:
			open += v.N
		case Map:
			open += 2 * v.N
		}
	}
	return at
}
