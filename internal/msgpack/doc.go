// Package msgpack appends and reads msgpack values in byte slices. It is the
// only reader of msgpack in this project, apart from tests that need a second
// opinion.
//
// Readers take a slice and an index, and return the index behind what they
// read. They believe nothing: a declared length or count is compared with the
// bytes that are left, and nesting with a limit. They allocate nothing, and
// what they return is borrowed from the slice. An index must be 0 or one that
// a reader returned; at the end of the slice, and beyond it, everything is
// [Truncated].
//
// All functions are pure.
package msgpack

// TimestampExt is ext type -1, the timestamp of the msgpack specification.
const TimestampExt = 0xff

// MaxDepth is the most containers that [Skip] can have open inside each other.
const MaxDepth = 32

// Fault says why a value cannot be read. A package that judges more than single
// values may number faults of its own from Faults on.
type Fault uint8

// The faults.
const (
	OK         Fault = iota // none
	Truncated               // the bytes end before the value does
	WrongType               // another type than was asked for
	TooDeep                 // more containers inside each other than allowed
	Reserved                // the byte 0xc1 as a type
	OutOfRange              // a negative integer where only others are asked for
	Faults                  // how many there are
)

// IsMap tells a map by its first byte.
func IsMap(first byte) bool { return first&0xf0 == 0x80 || first == 0xde || first == 0xdf }

// IsArray tells an array by its first byte.
func IsArray(first byte) bool { return first&0xf0 == 0x90 || first == 0xdc || first == 0xdd }

// IsStr tells a str by its first byte.
func IsStr(first byte) bool { return first&0xe0 == 0xa0 || first >= 0xd9 && first <= 0xdb }

// IsExt tells an ext by its first byte.
func IsExt(first byte) bool {
	return first >= 0xd4 && first <= 0xd8 || first >= 0xc7 && first <= 0xc9
}
