package protocol

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"sluice/internal/msgpack"
)

// Compression is how a data frame is packed. Its number is the ext type of the
// body; None is a plain map and no ext.
type Compression uint8

// The compressions of protocol 1.
const (
	None Compression = iota
	Zstd             // RFC 8878
	S2               // one s2 or snappy block, not the stream format
	Gzip             // RFC 1952
)

// ParseCompression reads the name that String writes.
func ParseCompression(name string) (Compression, error) {
	for c := None; c <= Gzip; c++ {
		if name == c.String() {
			return c, nil
		}
	}
	return None, fmt.Errorf("unknown compression %q: want none, zstd, s2 or gzip", name)
}

func (c Compression) String() string {
	switch c {
	case None:
		return "none"
	case Zstd:
		return "zstd"
	case S2:
		return "s2"
	case Gzip:
		return "gzip"
	}
	return fmt.Sprintf("compression(%d)", uint8(c))
}

// Compressor packs bodies, one after another, reusing its encoder and its
// buffer. Not safe for concurrent use.
type Compressor struct {
	kind    Compression
	zstd    *zstd.Encoder
	gzip    *gzip.Writer
	packed  []byte
	gzipped bytes.Buffer
}

// NewCompressor returns a Compressor of that kind. A kind that does not exist
// packs nothing, like None.
func NewCompressor(kind Compression) *Compressor {
	c := &Compressor{kind: kind}
	switch kind {
	case Zstd:
		// A log packet is small and there are many: the fastest level, and no
		// goroutines. These options cannot fail.
		c.zstd, _ = zstd.NewWriter(nil,
			zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(256<<10),
			zstd.WithLowerEncoderMem(true))
	case Gzip:
		c.gzip, _ = gzip.NewWriterLevel(&c.gzipped, gzip.BestSpeed)
	}
	return c
}

// Append appends to dst the body of a data frame that carries plain, without a
// header: an ext, or plain itself for None.
func (c *Compressor) Append(dst, plain []byte) []byte {
	switch c.kind {
	case Zstd:
		c.packed = c.zstd.EncodeAll(plain, c.packed[:0])
	case S2:
		if n := s2.MaxEncodedLen(len(plain)); cap(c.packed) < n {
			c.packed = make([]byte, n)
		}
		c.packed = s2.Encode(c.packed[:cap(c.packed)], plain)
	case Gzip:
		// Writes to a bytes.Buffer do not fail.
		c.gzipped.Reset()
		c.gzip.Reset(&c.gzipped)
		_, _ = c.gzip.Write(plain)
		_ = c.gzip.Close()
		c.packed = append(c.packed[:0], c.gzipped.Bytes()...)
	default:
		return append(dst, plain...)
	}
	dst = msgpack.AppendExtHead(dst, byte(c.kind), len(c.packed))
	return append(dst, c.packed...)
}
