package api

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// inflate undoes one layer of compression, into d.plain, within maxBody. The
// whole of maxBody is paid for, because what comes out is known only then.
func (d *workspace) inflate(body []byte, coding string, reserved *reservation) ([]byte, *refusal) {
	if !reserved.tryTake(d.maxBody) {
		return nil, busy(forNoMemory, noMemory, 0)
	}
	var err error
	switch coding {
	case "gzip":
		err = d.gunzip(body)
	case "zstd":
		err = d.unzstd(body)
	default:
		err = d.uns2(body)
	}
	switch {
	case errors.Is(err, errTooLong) || errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, tooLarge("body", d.maxBody, "bytes after inflating")
	case err != nil:
		return nil, bad("body", "cannot be inflated as "+coding+": "+err.Error())
	case len(d.plain) == 0:
		return nil, bad("body", "is empty")
	}
	return d.plain, nil
}

var errTooLong = errors.New("too long")

func (d *workspace) gunzip(body []byte) error {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return d.readPlain(r)
}

func (d *workspace) unzstd(body []byte) error {
	if d.zstd == nil {
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(uint64(d.maxBody)), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		d.zstd = decoder
	}
	out, err := d.zstd.DecodeAll(body, d.plain[:0])
	if err == nil && len(out) > d.maxBody {
		err = errTooLong
	}
	d.plain = out
	return err
}

// uns2 takes the stream format and, since that is what a frame of ours would
// carry, a single block.
func (d *workspace) uns2(body []byte) error {
	if bytes.HasPrefix(body, []byte("\xff\x06\x00\x00S2sTwO")) || bytes.HasPrefix(body, []byte("\xff\x06\x00\x00sNaPpY")) {
		return d.readPlain(s2.NewReader(bytes.NewReader(body), s2.ReaderMaxBlockSize(4<<20), s2.ReaderAllocBlock(64<<10)))
	}
	// A block is allocated by the length that it declares: judged first.
	n, err := s2.DecodedLen(body)
	if err != nil {
		return err
	}
	if n > d.maxBody {
		return errTooLong
	}
	if cap(d.plain) < n {
		d.plain = make([]byte, n)
	}
	d.plain, err = s2.Decode(d.plain[:n], body)
	return err
}

// readPlain reads all of r, growing with what comes, and one byte more than
// allowed to see that there is more.
func (d *workspace) readPlain(r io.Reader) error {
	plain := d.plain[:0]
	for {
		if len(plain) == cap(plain) {
			grown := make([]byte, len(plain), min(max(4<<10, 2*cap(plain)), d.maxBody+1))
			copy(grown, plain)
			plain = grown
		}
		n, err := r.Read(plain[len(plain):min(cap(plain), d.maxBody+1)])
		plain = plain[:len(plain)+n]
		d.plain = plain
		switch {
		case len(plain) > d.maxBody:
			return errTooLong
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
