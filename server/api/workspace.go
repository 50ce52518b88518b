package api

import (
	"errors"
	"io"
	"net"

	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"sluice/protocol"
)

// workspace is what one request needs to become a packet: buffers, decoders and a
// parser, used again by the next. Owned by one request at a time.
type workspace struct {
	maxBody, maxFrame int

	body    []byte // as it came
	plain   []byte // inflated
	zstd    *zstd.Decoder
	packet  packetEncoder
	inspect *protocol.Inspector
	scanned protocol.Scanned
}

func newWorkspace(maxBody, maxFrame int) *workspace {
	d := &workspace{maxBody: maxBody, maxFrame: maxFrame, inspect: protocol.NewInspector(maxFrame)}
	d.packet.init(maxFrame)
	return d
}

// tidy drops what one large request would otherwise keep.
func (d *workspace) tidy() {
	d.scanned = protocol.Scanned{}
	if cap(d.body) > keepBytes {
		d.body = nil
	}
	if cap(d.plain) > keepBytes {
		d.plain = nil
	}
	d.packet.tidy()
}

const noMemory = "busy: too many large requests at a time; send it again later"

// read takes the whole body into d.body. The buffer grows with what has come,
// and is paid for as it grows: a sender who declares much and sends little
// holds little.
func (d *workspace) read(ctx *fasthttp.RequestCtx, reserved *reservation) ([]byte, *refusal) {
	declared := ctx.Request.Header.ContentLength()
	if declared > d.maxBody {
		return nil, tooLarge("body", d.maxBody, "bytes")
	}
	if declared <= 0 {
		return nil, bad("body", "is empty")
	}
	if !reserved.tryTake(cap(d.body)) {
		return nil, busy(forNoMemory, noMemory, 0)
	}
	stream := ctx.RequestBodyStream()
	body := d.body[:0]
	for len(body) < declared {
		if len(body) == cap(body) {
			size := min(max(4<<10, 2*cap(body)), declared)
			if !reserved.tryTake(size) {
				return nil, busy(forNoMemory, noMemory, 0)
			}
			grown := make([]byte, len(body), size)
			copy(grown, body)
			body, d.body = grown, grown
		}
		n, err := stream.Read(body[len(body):min(cap(body), declared)])
		body = body[:len(body)+n]
		if err != nil && len(body) < declared {
			return nil, incomplete(err)
		}
	}
	d.body = body
	return body, nil
}

func incomplete(err error) *refusal {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return &refusal{status: fasthttp.StatusRequestTimeout, field: "body", text: "did not come in time", hangUp: true}
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	r := bad("body", "ended early: "+err.Error())
	r.hangUp = true
	return r
}

// encode makes the binary packet of a JSON body.
func (d *workspace) encode(body []byte, reserved *reservation) ([]byte, *refusal) {
	values, refused := measure(body, max(minValues, d.maxFrame/8))
	if refused != nil {
		return nil, refused
	}
	// The parser copies the body and makes a value of each value; the packet
	// is encoded up to max_frame and one value more.
	if !reserved.tryTake(len(body) + values*valueBytes + min(d.maxFrame, 9*len(body))) {
		return nil, busy(forNoMemory, noMemory, 0)
	}
	return d.packet.encode(body, values)
}

// scan judges a packet exactly as the core judges a frame.
func (d *workspace) scan(body []byte) *refusal {
	if len(body) == 0 {
		return bad("body", "is empty")
	}
	if len(body) > d.maxFrame {
		return tooLarge("body", d.maxFrame, "bytes of a packet")
	}
	err := d.inspect.Scan(body, &d.scanned)
	if err == nil {
		return nil
	}
	var invalid *protocol.InvalidError
	if errors.As(err, &invalid) {
		return bad(invalid.Field, invalid.Reason)
	}
	return bad("body", err.Error())
}
