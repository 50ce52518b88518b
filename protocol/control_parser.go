package protocol

import (
	"math"

	"sluice/internal/msgpack"
)

// controlParser reads the elements of a control frame in order. The first
// fault stays, and everything after it reads as zero, so that the frames above
// can be told in a line each.
type controlParser struct {
	b     []byte
	i     int
	left  int // elements of the outer array still to come
	fault reason
}

func (p *controlParser) fail(r reason) {
	if p.fault == ok {
		p.fault = r
	}
}

// take counts one element of the outer array.
func (p *controlParser) take() bool {
	if p.fault == ok && p.left == 0 {
		p.fault = missing
	}
	p.left--
	return p.fault == ok
}

// value steps over one element and returns its bytes.
func (p *controlParser) value() []byte {
	if !p.take() {
		return nil
	}
	start := p.i
	p.i, p.fault = msgpack.Skip(p.b, p.i, MaxDepth-1)
	if p.fault != ok {
		return nil
	}
	return p.b[start:p.i:p.i]
}

func (p *controlParser) uint() uint64 {
	if !p.take() {
		return 0
	}
	return p.mapUint()
}

// code is a uint of a byte.
func (p *controlParser) code() uint8 {
	n := p.uint()
	if n > math.MaxUint8 {
		p.fail(outOfRange)
	}
	return uint8(n)
}

func (p *controlParser) str() []byte {
	if !p.take() {
		return nil
	}
	return p.mapStr()
}

// pairs opens the map that is the second element of HELLO and WELCOME.
func (p *controlParser) pairs() int {
	if !p.take() {
		return 0
	}
	var n int
	n, p.i, p.fault = msgpack.MapHead(p.b, p.i)
	return n
}

// key reads the key of a pair, which must be a str.
func (p *controlParser) key() []byte {
	k := p.mapStr()
	if p.fault == wrongType {
		p.fault = badKey
	}
	return k
}

func (p *controlParser) once(seen *int, bit int) {
	if *seen&bit != 0 {
		p.fail(duplicate)
	}
	*seen |= bit
}

// mapStr, mapUint and mapValue read a value inside a container, which is no
// element of the outer array.
func (p *controlParser) mapStr() []byte {
	if p.fault != ok {
		return nil
	}
	var start, end int
	start, end, p.fault = msgpack.Str(p.b, p.i)
	if p.fault != ok {
		return nil
	}
	p.i = end
	return p.b[start:end:end]
}

func (p *controlParser) mapValue() {
	if p.fault == ok {
		p.i, p.fault = msgpack.Skip(p.b, p.i, MaxDepth-2)
	}
}

func (p *controlParser) version() int {
	v := p.mapUint()
	if p.fault == ok && v == 0 {
		p.fail(outOfRange)
	}
	return int(min(v, math.MaxInt32))
}

// mapUint reads an integer of any form that is not negative: some encoders
// write positive numbers in the signed forms.
func (p *controlParser) mapUint() uint64 {
	if p.fault != ok {
		return 0
	}
	n, next, r := msgpack.Uint(p.b, p.i)
	p.i, p.fault = next, r
	return n
}
