package api

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"sluice/internal/msgpack"
)

// appendValue writes any value of metadata. Its recursion is bounded by
// measure.
func (e *packetEncoder) appendValue(v *fastjson.Value) {
	if e.refused != nil || len(e.out) > e.max {
		return // refused already, or about to be
	}
	switch v.Type() {
	case fastjson.TypeObject:
		object := v.GetObject()
		e.out = msgpack.AppendMapHead(e.out, object.Len())
		object.Visit(e.metadataKey)
	case fastjson.TypeArray:
		list := v.GetArray()
		e.out = msgpack.AppendArrayHead(e.out, len(list))
		for _, item := range list {
			e.appendValue(item)
		}
	case fastjson.TypeString:
		e.out = msgpack.AppendStr(e.out, e.text("metadata", v))
	case fastjson.TypeNumber:
		e.appendNumber(v)
	case fastjson.TypeTrue:
		e.out = append(e.out, 0xc3)
	case fastjson.TypeFalse:
		e.out = append(e.out, 0xc2)
	default:
		e.out = append(e.out, 0xc0)
	}
}

func (e *packetEncoder) onMetadataKey(key []byte, v *fastjson.Value) {
	if e.suspect && !utf8.Valid(key) {
		e.refuse(bad(e.path("metadata"), "has a key that is not valid UTF-8"))
	}
	e.out = msgpack.AppendStr(e.out, key)
	e.appendValue(v)
}

// appendNumber keeps whole numbers whole as far as 64 bits go.
func (e *packetEncoder) appendNumber(v *fastjson.Value) {
	e.number = v.MarshalTo(e.number[:0])
	text := string(e.number)
	if !bytes.ContainsAny(e.number, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			e.out = msgpack.AppendInt(e.out, n)
			return
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			e.out = msgpack.AppendUint(e.out, n)
			return
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		e.refuse(bad(e.path("metadata"), fmt.Sprintf("has the number %.32s, which is out of range", text)))
		return
	}
	e.out = msgpack.AppendFloat(e.out, f)
}

// kind names a JSON value for people.
func kind(v *fastjson.Value) string {
	switch v.Type() {
	case fastjson.TypeNull:
		return "null"
	case fastjson.TypeTrue, fastjson.TypeFalse:
		return "a boolean"
	case fastjson.TypeNumber:
		return "a number"
	case fastjson.TypeString:
		return "a string"
	case fastjson.TypeArray:
		return "an array"
	default:
		return "an object"
	}
}
