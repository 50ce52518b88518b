package msgpack

import "math"

// Kind is what a value is.
type Kind uint8

// The kinds. An integer is KindInt if it fits an int64, however it is written.
const (
	KindNil Kind = iota
	KindBool
	KindInt
	KindUint // above the range of int64
	KindFloat32
	KindFloat64
	KindStr
	KindBin
	KindExt
	KindArray
	KindMap
)

// Value is one value, or the head of an array or a map.
type Value struct {
	Kind Kind
	Type int8   // of an ext
	N    int    // elements of an array, pairs of a map, that follow
	Bits uint64 // a bool (0 or 1), an integer, or a float in IEEE 754 of its width
	Data []byte // of a str, bin or ext; borrowed, without spare capacity
}

// Int returns the value of a KindInt.
func (v *Value) Int() int64 { return int64(v.Bits) }

// Float32 returns the value of a KindFloat32.
func (v *Value) Float32() float32 { return math.Float32frombits(uint32(v.Bits)) }

// Float64 returns the value of a float of either width.
func (v *Value) Float64() float64 {
	if v.Kind == KindFloat32 {
		return float64(v.Float32())
	}
	return math.Float64frombits(v.Bits)
}

// Read reads the value at i into v and returns the index of the next one: the
// one behind it, or the first one inside an array or a map. On a fault, v is
// undefined. The fault is [Truncated] or [Reserved].
func Read(b []byte, i int, v *Value) (next int, f Fault) {
	if i >= len(b) {
		return i, Truncated
	}
	c := b[i]
	switch {
	case IsStr(c):
		start, end, f := Str(b, i)
		if f == OK {
			*v = Value{Kind: KindStr, Data: b[start:end:end]}
		}
		return end, f
	case c < 0x80 || c >= 0xe0:
		*v = Value{Kind: KindInt, Bits: uint64(int64(int8(c)))}
		return i + 1, OK
	case IsMap(c):
		n, next, f := MapHead(b, i)
		*v = Value{Kind: KindMap, N: n}
		return next, f
	case IsArray(c):
		n, next, f := ArrayHead(b, i)
		*v = Value{Kind: KindArray, N: n}
		return next, f
	case IsExt(c):
		typ, start, end, f := Ext(b, i)
		if f == OK {
			*v = Value{Kind: KindExt, Type: int8(typ), Data: b[start:end:end]}
		}
		return end, f
	case c >= 0xc4 && c <= 0xc6:
		return readBin(b, i, v)
	}
	return readScalar(b, i, v)
}

func readBin(b []byte, i int, v *Value) (int, Fault) {
	start, n := lengthAt(b, i, b[i]-0xc4)
	if n < 0 || n > len(b)-start {
		return i, Truncated
	}
	*v = Value{Kind: KindBin, Data: b[start : start+n : start+n]}
	return start + n, OK
}

// readScalar reads nil, a bool, or a number with a byte in front.
func readScalar(b []byte, i int, v *Value) (int, Fault) {
	c := b[i]
	if c == 0xc1 {
		return i, Reserved
	}
	next := i + int(fixedSize[c])
	if next > len(b) {
		return i, Truncated
	}
	switch digits := b[i+1 : next]; {
	case c == 0xc0:
		*v = Value{Kind: KindNil}
	case c == 0xc2, c == 0xc3:
		*v = Value{Kind: KindBool, Bits: uint64(c & 1)}
	case c == 0xca:
		*v = Value{Kind: KindFloat32, Bits: number(digits)}
	case c == 0xcb:
		*v = Value{Kind: KindFloat64, Bits: number(digits)}
	case c <= 0xcf: // uint 8 to 64
		*v = Value{Kind: KindInt, Bits: number(digits)}
		if v.Bits > math.MaxInt64 {
			v.Kind = KindUint
		}
	default: // int 8 to 64
		shift := 64 - 8*len(digits)
		*v = Value{Kind: KindInt, Bits: uint64(int64(number(digits)<<shift) >> shift)}
	}
	return next, OK
}
