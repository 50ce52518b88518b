package protocol

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"sluice/internal/msgpack"
)

// Inspector scans data frames, plain and compressed. A compressed one is
// inflated into a buffer of the Inspector, which never holds more than the
// largest frame, and scanned there; the frame itself stays as it came. The
// decoders are made when first needed and then reused. Owned by one goroutine.
type Inspector struct {
	max      int
	inflated uint64 // bytes that inflating brought forth
	plain    []byte // the last inflated body
	zstd     *zstd.Decoder
	gzip     *gzip.Reader
	src      bytes.Reader // what gzip reads from
}

// NewInspector inflates to maxFrame bytes at most. A maxFrame below 1 means
// [DefaultMaxFrame].
func NewInspector(maxFrame int) *Inspector {
	if maxFrame < 1 {
		maxFrame = DefaultMaxFrame
	}
	return &Inspector{max: maxFrame}
}

// Inflated returns how many bytes this Inspector has inflated so far, those of
// bodies that failed included: what its users have cost beyond what they sent.
func (in *Inspector) Inflated() uint64 { return in.inflated }

// Scan is [Scan] for a body that may be compressed. s is borrowed until the
// next call of Scan or Inflate, and from body. Errors are *[InvalidError].
func (in *Inspector) Scan(body []byte, s *Scanned) error {
	plain, err := in.Inflate(body)
	if err != nil {
		return err
	}
	return Scan(plain, s)
}

// Inflate returns the plain body of a compressed frame, borrowed until the
// next call of Scan or Inflate, or body itself when it is a map. The plain body
// is not scanned. One layer only: what is inside is not inflated again, and so
// fails its scan. Errors are *[InvalidError].
func (in *Inspector) Inflate(body []byte) ([]byte, error) {
	if len(body) > 0 && IsPlain(body[0]) {
		return body, nil
	}
	typ, start, end, r := msgpack.Ext(body, 0)
	if r != ok {
		return nil, invalid(fieldBody, r)
	}
	if end != len(body) {
		return nil, invalid(fieldBody, trailing)
	}
	inflated := false
	switch packed := body[start:end]; Compression(typ) {
	case Zstd:
		inflated = in.inflateZstd(packed)
	case S2:
		inflated = in.inflateS2(packed)
	case Gzip:
		inflated = in.inflateGzip(packed)
	default:
		return nil, invalid(fieldBody, wrongType)
	}
	if !inflated {
		in.inflated += uint64(max(len(in.plain), end-start))
		return nil, invalid(fieldBody, badInflate)
	}
	in.inflated += uint64(len(in.plain))
	return in.plain, nil
}

func (in *Inspector) inflateZstd(packed []byte) bool {
	if in.zstd == nil {
		d, err := zstd.NewReader(nil,
			zstd.WithDecoderMaxMemory(uint64(in.max)), // also bounds the window
			zstd.WithDecoderConcurrency(1))
		if err != nil {
			return false
		}
		in.zstd = d
	}
	out, err := in.zstd.DecodeAll(packed, in.plain[:0])
	if cap(out) > cap(in.plain) {
		in.plain = out // keep what it grew, even if it failed in the end
	}
	in.plain = in.plain[:0]
	if err != nil || len(out) > in.max {
		return false
	}
	in.plain = out
	return true
}

func (in *Inspector) inflateS2(packed []byte) bool {
	// s2 allocates whatever length the block declares, so it is judged first.
	n, err := s2.DecodedLen(packed)
	if err != nil || n > in.max {
		return false
	}
	if cap(in.plain) < n {
		in.plain = make([]byte, n)
	}
	out, err := s2.Decode(in.plain[:cap(in.plain)], packed)
	if err != nil {
		return false
	}
	in.plain = out
	return true
}

func (in *Inspector) inflateGzip(packed []byte) bool {
	if in.gzip == nil {
		in.gzip = new(gzip.Reader)
	}
	in.src.Reset(packed)
	defer in.src.Reset(nil) // keep nothing of what was borrowed
	if in.gzip.Reset(&in.src) != nil {
		return false
	}
	// One byte more than allowed, to see the end of a body of just that size.
	out := in.plain[:0]
	for {
		if len(out) == cap(out) {
			grown := make([]byte, len(out), min(max(4096, 2*cap(out)), in.max+1))
			copy(grown, out)
			out = grown
		}
		n, err := in.gzip.Read(out[len(out):min(cap(out), in.max+1)])
		out = out[:len(out)+n]
		in.plain = out
		if len(out) > in.max {
			return false
		}
		if err != nil {
			return err == io.EOF
		}
	}
}
