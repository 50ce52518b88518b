package deadletter

import (
	"errors"
	"io"

	"sluice/protocol"
)

// errTorn says that a file ends inside a frame.
var errTorn = errors.New("ends inside a frame")

// reader gives the frames of a file by their offset, reading ahead, and never
// holds more than its read-ahead or one frame. Offsets that were read before
// may be asked for again, which is why frames in flight need no copy in memory.
// Owned by one goroutine.
type reader struct {
	src io.ReaderAt
	end int64 // offset after the last byte to be read
	buf []byte
	at  int64 // of buf[0] in the file
}

// frame returns the frame at an offset, header included, borrowed until the
// next call; io.EOF at the end. An impossible length is a
// *[protocol.LengthError] and a frame that the file cuts off errTorn; all else
// comes from the disk.
func (r *reader) frame(off int64) ([]byte, error) {
	if off >= r.end {
		return nil, io.EOF
	}
	header, err := r.bytes(off, protocol.HeaderSize)
	if err != nil {
		return nil, err
	}
	n := protocol.FrameLength(header)
	if n == 0 || n > maxFrameBytes {
		return nil, &protocol.LengthError{Length: n, Max: maxFrameBytes}
	}
	return r.bytes(off, protocol.HeaderSize+int64(n))
}

// bytes allocates for what the file has, never for what a header declares.
func (r *reader) bytes(off, n int64) ([]byte, error) {
	if n > r.end-off {
		return nil, errTorn
	}
	if off < r.at || off+n > r.at+int64(len(r.buf)) {
		size := min(max(n, readBytes), r.end-off)
		if int64(cap(r.buf)) < size {
			r.buf = make([]byte, size)
		}
		got, err := r.src.ReadAt(r.buf[:size], off)
		r.at, r.buf = off, r.buf[:got]
		if int64(got) < n {
			if err == io.EOF {
				err = errTorn // shorter than it was: somebody has cut it
			}
			return nil, err
		}
	}
	from := off - r.at
	return r.buf[from : from+n : from+n], nil
}

// isDamage tells a file that cannot be understood from a disk that cannot be
// read, which may be better later.
func isDamage(err error) bool {
	var length *protocol.LengthError
	return errors.Is(err, errTorn) || errors.As(err, &length)
}

// census is what a walk over a file finds. Immutable.
type census struct {
	packets int   // whole frames from the given offset on
	end     int64 // offset after the last whole frame
	found   bool  // the given offset is where a frame begins, or the end
	err     error // why the walk ended before the end of the file, or nil
}

// take walks over all frames of a file and counts those from an offset on.
func take(r *reader, from int64) (c census) {
	for {
		if c.end == from {
			c.found, c.packets = true, 0
		}
		frame, err := r.frame(c.end)
		if err == io.EOF {
			return c
		}
		if err != nil {
			c.err = err
			return c
		}
		c.packets++
		c.end += int64(len(frame))
	}
}
