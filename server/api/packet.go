package api

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"sluice/internal/msgpack"
	"sluice/protocol"
)

// packetEncoder turns a JSON LogPacket into its binary body, straight from the
// parser's values. Unlike the scan of the wire it judges contents too: who
// writes JSON by hand is told that a level is none, instead of finding out.
//
// Owned by one request at a time.
type packetEncoder struct {
	max     int // bytes of the packet
	parser  fastjson.Parser
	out     []byte
	number  []byte // the text of one
	suspect bool   // somewhere is invalid UTF-8: every string is looked at
	refused *refusal

	values int // the most that the parser was given since it was new
	bytes  int // likewise, of the bodies
	id     *fastjson.Value
	agent  *fastjson.Value
	list   *fastjson.Value
	index  int // of the message at hand; -1 outside
	fields [fieldCount]*fastjson.Value

	// Bound once, so that visiting an object does not allocate.
	packetKey, messageKey, metadataKey func([]byte, *fastjson.Value)
}

const (
	fieldTimestamp = iota
	fieldLevel
	fieldSource
	fieldText
	fieldMetadata
	fieldCount
)

// messageFields are the keys in the order of the fields, and of the wire.
var messageFields = [fieldCount]string{"timestamp", "level", "source", "message", "metadata"}

func (e *packetEncoder) init(maxFrame int) {
	e.max = maxFrame
	e.packetKey, e.messageKey, e.metadataKey = e.onPacketKey, e.onMessageKey, e.onMetadataKey
}

func (e *packetEncoder) tidy() {
	e.id, e.agent, e.list, e.fields, e.refused = nil, nil, nil, [fieldCount]*fastjson.Value{}, nil
	if e.values > keepValues || e.bytes > keepBytes || cap(e.out) > keepBytes {
		e.parser, e.values, e.bytes = fastjson.Parser{}, 0, 0
		e.out = nil
	}
}

// encode gives the packet, borrowed until the next call. values is what
// measure counted; the depth has been judged there.
func (e *packetEncoder) encode(body []byte, values int) ([]byte, *refusal) {
	e.values, e.bytes = max(e.values, values), max(e.bytes, len(body))
	e.suspect, e.refused, e.index = !utf8.Valid(body), nil, -1
	e.id, e.agent, e.list = nil, nil, nil
	// The parser is lenient with escapes, numbers and control characters; its
	// package's own validation is not.
	if err := fastjson.ValidateBytes(body); err != nil {
		return nil, bad("body", "is not valid JSON: "+strings.ToValidUTF8(err.Error(), "\uFFFD"))
	}
	root, err := e.parser.ParseBytes(body)
	if err != nil {
		return nil, bad("body", "is not valid JSON: "+strings.ToValidUTF8(err.Error(), "\uFFFD"))
	}
	packet, err := root.Object()
	if err != nil {
		return nil, bad("body", "must be a JSON object, not "+kind(root))
	}
	packet.Visit(e.packetKey)
	e.out = append(e.out[:0], 0x83)
	e.appendID("packet_id", e.id)
	e.appendID("agent_id", e.agent)
	e.appendMessages()
	if e.refused == nil && e.suspect {
		e.refused = bad("body", "is not valid UTF-8")
	}
	if e.refused == nil && len(e.out) > e.max {
		e.refused = tooLarge("body", e.max, "bytes of a packet")
	}
	return e.out, e.refused
}

// refuse keeps the first fault.
func (e *packetEncoder) refuse(r *refusal) {
	if e.refused == nil {
		e.refused = r
	}
}

// path names a field of the message at hand.
func (e *packetEncoder) path(field string) string {
	if e.index < 0 {
		return field
	}
	return "messages[" + strconv.Itoa(e.index) + "]." + field
}

func (e *packetEncoder) onPacketKey(key []byte, v *fastjson.Value) {
	var place **fastjson.Value
	switch string(key) {
	case "packet_id":
		place = &e.id
	case "agent_id":
		place = &e.agent
	case "messages":
		place = &e.list
	default:
		return // how the format grows
	}
	if *place != nil {
		e.refuse(bad(string(key), protocol.ReasonDuplicate))
	}
	*place = v
}

func (e *packetEncoder) onMessageKey(key []byte, v *fastjson.Value) {
	for i, name := range messageFields {
		if string(key) != name {
			continue
		}
		if e.fields[i] != nil {
			e.refuse(bad(e.path(name), protocol.ReasonDuplicate))
		}
		e.fields[i] = v
	}
}

func (e *packetEncoder) appendID(field string, v *fastjson.Value) {
	text := e.text(field, v)
	if e.refused == nil && (len(text) == 0 || len(text) > protocol.MaxIDBytes) {
		e.refuse(bad(field, protocol.ReasonLength))
	}
	e.appendKeyed(field, text)
}

func (e *packetEncoder) appendKeyed(key string, text []byte) {
	e.out = append(append(e.out, 0xa0|byte(len(key))), key...) // our keys are short
	e.out = msgpack.AppendStr(e.out, text)
}

func (e *packetEncoder) appendMessages() {
	switch {
	case e.list == nil:
		e.refuse(bad("messages", protocol.ReasonMissing))
		return
	case e.list.Type() != fastjson.TypeArray:
		e.refuse(bad("messages", "must be an array, not "+kind(e.list)))
		return
	}
	list := e.list.GetArray()
	e.out = msgpack.AppendArrayHead(append(e.out, "\xa8messages"...), len(list))
	for i, v := range list {
		e.index = i
		e.appendMessage(v)
		if e.refused != nil || len(e.out) > e.max {
			return
		}
	}
	e.index = -1
}

func (e *packetEncoder) appendMessage(v *fastjson.Value) {
	message, err := v.Object()
	if err != nil {
		e.refuse(bad("messages["+strconv.Itoa(e.index)+"]", "must be an object, not "+kind(v)))
		return
	}
	e.fields = [fieldCount]*fastjson.Value{}
	message.Visit(e.messageKey)
	metadata := e.fields[fieldMetadata]
	if metadata != nil && metadata.Type() == fastjson.TypeNull {
		metadata = nil
	}
	if metadata == nil {
		e.out = append(e.out, 0x84)
	} else {
		e.out = append(e.out, 0x85)
	}
	e.appendTimestamp(e.fields[fieldTimestamp])
	level := e.text("level", e.fields[fieldLevel])
	if e.refused == nil && !protocol.ValidLevel(string(level)) {
		e.refuse(bad(e.path("level"), "must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL"))
	}
	e.appendKeyed("level", level)
	e.appendKeyed("source", e.text("source", e.fields[fieldSource]))
	e.appendKeyed("message", e.text("message", e.fields[fieldText]))
	if metadata != nil {
		if metadata.Type() != fastjson.TypeObject {
			e.refuse(bad(e.path("metadata"), "must be an object or null, not "+kind(metadata)))
			return
		}
		e.out = append(e.out, "\xa8metadata"...)
		e.appendValue(metadata)
	}
}

func (e *packetEncoder) appendTimestamp(v *fastjson.Value) {
	const form = "must be a time in RFC 3339, such as 2026-01-02T03:04:05Z, or Unix seconds"
	var t protocol.Timestamp
	switch {
	case v == nil:
		e.refuse(bad(e.path("timestamp"), protocol.ReasonMissing))
		return
	case v.Type() == fastjson.TypeString:
		t = protocol.ParseTimestamp(string(v.GetStringBytes()))
	case v.Type() == fastjson.TypeNumber:
		e.number = v.MarshalTo(e.number[:0])
		if seconds, err := strconv.ParseFloat(string(e.number), 64); err == nil {
			t = protocol.UnixTimestamp(seconds)
		}
	}
	if t.IsZero() {
		e.refuse(bad(e.path("timestamp"), form))
		return
	}
	e.out = msgpack.AppendTime(append(e.out, "\xa9timestamp"...), t.Time)
}

// text gives the bytes of a string field, or refuses.
func (e *packetEncoder) text(field string, v *fastjson.Value) []byte {
	switch {
	case v == nil:
		e.refuse(bad(e.path(field), protocol.ReasonMissing))
		return nil
	case v.Type() != fastjson.TypeString:
		e.refuse(bad(e.path(field), "must be a string, not "+kind(v)))
		return nil
	}
	text := v.GetStringBytes()
	if e.suspect && !utf8.Valid(text) {
		e.refuse(bad(e.path(field), "is not valid UTF-8"))
	}
	return text
}
