package ship

import (
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/valyala/fastjson"

	"sluice/agent/lines"
	"sluice/internal/msgpack"
	"sluice/internal/rawlog"
	"sluice/protocol"
)

// encoder makes bodies of raw bytes. Owned by one worker.
type encoder struct {
	agent    string
	splitter *lines.Splitter
	parser   *rawlog.Parser
	now      time.Time // zero: a packet's Before gives years

	record rawlog.Record
	id     []byte
	key    []byte

	understood int // of the last packet's records
}

// encode appends the body of p to dst. Records go from the raw bytes straight to
// msgpack: a LogMessage with a map for its metadata would cost ten times more.
func (e *encoder) encode(dst []byte, p *Packet) []byte {
	e.id = p.appendID(e.id[:0], e.agent)
	dst = append(dst, 0x83)
	dst = msgpack.AppendStr(append(dst, "\xa9packet_id"...), e.id)
	dst = msgpack.AppendStr(append(dst, "\xa8agent_id"...), e.agent)
	dst = append(dst, "\xa8messages\xdd\x00\x00\x00\x00"...)
	count := len(dst) - 4
	p.Records, e.understood = 0, 0
	before := e.now
	if before.IsZero() {
		before = p.Before
	}
	e.parser.Before(before)
	valid := utf8.Valid(p.Raw)
	splitter := e.splitter
	if p.Splitter != nil {
		splitter = p.Splitter
	}
	splitter.Each(p.Raw, p.Mid, p.Open, func(text []byte, at int, piece lines.Piece) {
		dst = e.message(dst, p, text, p.Start+int64(at), piece, valid || utf8.Valid(text))
		p.Records++
	})
	binary.BigEndian.PutUint32(dst[count:], uint32(p.Records))
	return dst
}

// message appends one record. Text that is no UTF-8 is shown with replacement
// characters, for readers that insist on it, and kept as it is in "raw".
func (e *encoder) message(dst []byte, p *Packet, text []byte, offset int64, piece lines.Piece, valid bool) []byte {
	// The record's strings lie in the raw buffer. They are copied into dst before
	// this function returns, and nobody keeps the record.
	line := unsafe.String(unsafe.SliceData(text), len(text))
	if !valid {
		line = strings.ToValidUTF8(line, "\uFFFD")
	}
	r := &e.record
	if piece == lines.Middle || piece == lines.Last {
		*r = rawlog.Record{Message: line, Fields: r.Fields[:0]} // not a line's beginning
	} else {
		e.parser.Parse(line, r)
	}
	if r.Understood() {
		e.understood++
	}
	at, level, source := r.Time, r.Level, r.Source
	if at.IsZero() {
		at = p.Read
	}
	if level == "" {
		level = protocol.LevelInfo
	}
	if source == "" {
		source = p.Origin.Name
	}
	dst = append(dst, 0x85)
	dst = msgpack.AppendTime(append(dst, "\xa9timestamp"...), at)
	dst = msgpack.AppendStr(append(dst, "\xa5level"...), string(level))
	dst = msgpack.AppendStr(append(dst, "\xa6source"...), source)
	dst = msgpack.AppendStr(append(dst, "\xa7message"...), r.Message)
	pairs := len(p.Origin.keys) + 1 + len(r.Fields)
	if piece != lines.Whole {
		pairs++
	}
	if !valid {
		pairs++
	}
	dst = msgpack.AppendMapHead(append(dst, "\xa8metadata"...), pairs)
	dst = append(dst, p.Origin.meta...)
	dst = msgpack.AppendUint(append(dst, "\xa6offset"...), uint64(offset))
	if piece != lines.Whole {
		dst = msgpack.AppendStr(append(dst, "\xa5split"...), piece.String())
	}
	if !valid {
		dst = msgpack.AppendBin(append(dst, "\xa3raw"...), text)
	}
	for i := range r.Fields {
		dst = e.field(dst, p.Origin, r.Fields, i)
	}
	return dst
}

// field appends one thing that the line told. A key that is taken gets "line."
// in front, and more of them until it is free: a map with a key twice would
// lose one of the values.
func (e *encoder) field(dst []byte, o *Origin, fields []rawlog.Field, i int) []byte {
	f := &fields[i]
	if taken(f.Key, o, fields[:i]) {
		key := f.Key
		for taken(key, o, fields[:i]) {
			key = "line." + key
		}
		f.Key = key
	}
	dst = msgpack.AppendStr(dst, f.Key)
	switch {
	case f.JSON != nil:
		return e.json(dst, f.JSON, metadataDepth)
	case f.IsInt:
		return msgpack.AppendInt(dst, f.Int)
	}
	return msgpack.AppendStr(dst, f.Text)
}

func taken(key string, o *Origin, before []rawlog.Field) bool {
	if key == "offset" || key == "split" || key == "raw" {
		return true
	}
	for _, k := range o.keys {
		if k == key {
			return true
		}
	}
	for i := range before {
		if before[i].Key == key {
			return true
		}
	}
	return false
}

// metadataDepth is how many containers are open within metadata: packet,
// messages, message, and metadata itself.
const metadataDepth = 4

// json appends a JSON value. What is nested deeper than the protocol allows is
// kept as its text.
func (e *encoder) json(dst []byte, v *fastjson.Value, depth int) []byte {
	switch v.Type() {
	case fastjson.TypeObject:
		o := v.GetObject()
		if depth >= protocol.MaxDepth {
			break
		}
		dst = msgpack.AppendMapHead(dst, o.Len())
		o.Visit(func(k []byte, v *fastjson.Value) {
			dst = e.json(msgpack.AppendStr(dst, k), v, depth+1)
		})
		return dst
	case fastjson.TypeArray:
		a := v.GetArray()
		if depth >= protocol.MaxDepth {
			break
		}
		dst = msgpack.AppendArrayHead(dst, len(a))
		for _, v := range a {
			dst = e.json(dst, v, depth+1)
		}
		return dst
	case fastjson.TypeString:
		return msgpack.AppendStr(dst, v.GetStringBytes())
	case fastjson.TypeNumber:
		if n, err := v.Int64(); err == nil {
			return msgpack.AppendInt(dst, n)
		}
		return msgpack.AppendFloat(dst, v.GetFloat64())
	case fastjson.TypeTrue:
		return append(dst, 0xc3)
	case fastjson.TypeFalse:
		return append(dst, 0xc2)
	case fastjson.TypeNull:
		return append(dst, 0xc0)
	}
	e.key = v.MarshalTo(e.key[:0])
	return msgpack.AppendStr(dst, e.key)
}
