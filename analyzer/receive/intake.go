package receive

import (
	"io"

	"sluice/protocol"
)

// intake cuts a stream into frames without ever waiting for the rest of one:
// fill reads once, next gives what is complete. (protocol.FrameReader reads on
// when a frame is cut, but then the frames before it would wait for their ACK.)
// Its buffer grows with bytes received. Owned by one connection's reader.
type intake struct {
	max        uint32
	buf        []byte
	start, end int
}

// fill reads from src once. What is left over moves to the front; a full buffer
// doubles, and one that a read filled grows up to fullRead.
func (in *intake) fill(src io.Reader) (int, error) {
	if in.start > 0 {
		in.end = copy(in.buf, in.buf[in.start:in.end])
		in.start = 0
	}
	if in.end == len(in.buf) {
		in.grow(max(firstRead, 2*len(in.buf)))
	}
	n, err := src.Read(in.buf[in.end:])
	in.end += n
	if in.end == len(in.buf) && len(in.buf) < fullRead {
		in.grow(2 * len(in.buf))
	}
	return n, err
}

func (in *intake) grow(size int) {
	buf := make([]byte, size)
	copy(buf, in.buf[:in.end])
	in.buf = buf
}

// next returns the next complete frame, header included, borrowed until fill;
// nil if there is none yet. A length out of bounds is told as soon as its four
// bytes are there; it does not go away.
func (in *intake) next() (frame []byte, err *protocol.LengthError) {
	have := in.end - in.start
	if have < protocol.HeaderSize {
		return nil, nil
	}
	n := protocol.FrameLength(in.buf[in.start:])
	if !protocol.ValidLength(n, in.max) {
		return nil, &protocol.LengthError{Length: n, Max: int(in.max)}
	}
	size := protocol.HeaderSize + int(n)
	if have < size {
		return nil, nil
	}
	frame = in.buf[in.start : in.start+size : in.start+size]
	in.start += size
	return frame, nil
}

// partial says whether the beginning of a frame is waiting for its rest.
func (in *intake) partial() bool { return in.end > in.start }
