package protocol

import (
	"encoding/binary"
	"io"

	"sluice/internal/msgpack"
)

// AppendFrame appends one frame, header and body, to dst. The body is copied;
// its length is not judged.
func AppendFrame(dst, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	return append(dst, body...)
}

// FrameLength reads a frame's header, which must be at least [HeaderSize]
// bytes. The caller judges it with [ValidLength] before it believes it.
func FrameLength(header []byte) uint32 { return binary.BigEndian.Uint32(header) }

// ValidLength says whether a frame's body can have that many bytes, at most
// maxFrame. A stream cannot be followed past a length that is not valid.
func ValidLength(length, maxFrame uint32) bool { return length-1 < maxFrame } // 0 wraps around

// IsControl says from the first byte of a body alone whether the frame is a
// control frame: an array, however malformed. Everything else is a data frame
// and takes the next number.
func IsControl(first byte) bool { return msgpack.IsArray(first) }

// IsPlain says from the first byte of a body alone whether the frame is a data
// frame that is not compressed: a map, however malformed.
func IsPlain(first byte) bool { return msgpack.IsMap(first) }

const (
	// firstRead is what a FrameReader starts with, so that an idle connection
	// costs a page and not a quarter of a megabyte.
	firstRead = 4 << 10

	// fullRead is what the buffer grows to as long as reads fill it: large
	// reads are what a packet rate is made of.
	fullRead = 256 << 10

	// maxEmptyReads is how often a reader may return nothing and no error.
	maxEmptyReads = 100
)

// FrameReader cuts a byte stream into frames. It is for the ends that spend a
// goroutine on a connection (client, analyzer); the distributor's loops cut
// their frames themselves. Its buffer grows with the bytes that were received,
// never with a length that was only declared. Not safe for concurrent use.
type FrameReader struct {
	src        io.Reader
	max        uint32
	buf        []byte
	start, end int   // what is unread: buf[start:end]
	err        error // sticky; told once the complete frames before it are out
}

// NewFrameReader reads frames of 1 to maxFrame bytes from r. A maxFrame below
// 1 means [DefaultMaxFrame].
func NewFrameReader(r io.Reader, maxFrame int) *FrameReader {
	if maxFrame < 1 {
		maxFrame = DefaultMaxFrame
	}
	return &FrameReader{src: r, max: uint32(min(maxFrame, 1<<31-1))}
}

// Buffered returns how many bytes were read ahead and not yet returned. Zero
// means that the next call of Next has to read.
func (f *FrameReader) Buffered() int { return f.end - f.start }

// Next returns the body of the next frame, borrowed until the next call. At
// the end of the stream it returns io.EOF between frames and
// io.ErrUnexpectedEOF inside one; a length out of bounds is a *[LengthError].
// All errors are final.
func (f *FrameReader) Next() ([]byte, error) {
	for {
		need := HeaderSize
		if have := f.end - f.start; have >= HeaderSize {
			n := binary.BigEndian.Uint32(f.buf[f.start:])
			if !ValidLength(n, f.max) {
				return nil, &LengthError{Length: n, Max: int(f.max)}
			}
			need += int(n)
			if have >= need {
				body := f.buf[f.start+HeaderSize : f.start+need : f.start+need]
				f.start += need
				return body, nil
			}
		}
		if err := f.fill(); err != nil {
			if err == io.EOF && f.end > f.start {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// fill reads once, after making room: what is left of the last read moves to
// the front, and a full buffer doubles.
func (f *FrameReader) fill() error {
	if f.err != nil {
		return f.err
	}
	if f.start > 0 {
		f.end = copy(f.buf, f.buf[f.start:f.end])
		f.start = 0
	}
	if f.end == len(f.buf) {
		f.grow(max(firstRead, 2*len(f.buf)))
	}
	for range maxEmptyReads {
		room := f.buf[f.end:]
		n, err := f.src.Read(room)
		f.end += n
		if err != nil {
			f.err = err
		}
		if n == len(room) && len(f.buf) < fullRead {
			f.grow(2 * len(f.buf))
		}
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	f.err = io.ErrNoProgress
	return f.err
}

func (f *FrameReader) grow(size int) {
	buf := make([]byte, size)
	copy(buf, f.buf[:f.end])
	f.buf = buf
}
