package protocol

import (
	"errors"
	"math"
	"time"

	library "github.com/vmihailenco/msgpack/v5"

	"sluice/internal/msgpack"
)

// Timestamp is the time of a message. The zero value means that the sender gave
// none that can be understood; the receiver then takes the time of receipt.
//
// All readers have their times from this file: [DecodePacket], [Message] and
// msgpack/v5 by DecodeMsgpack. They are in UTC.
type Timestamp struct{ time.Time }

// ParseTimestamp reads RFC 3339, with a fraction or without. A string that is
// no time, or one outside the years 0 to 9999, gives the zero Timestamp: types
// are judged, contents are not.
func ParseTimestamp(s string) Timestamp {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = parseRareForms(s)
	}
	if err != nil || !inRange(t.Unix()) { // an offset can carry the year over the edge
		return Timestamp{}
	}
	return Timestamp{t.UTC()}
}

// parseRareForms reads what RFC 3339 allows and Go does not: a lower-case t and z,
// a space between date and time, and the leap second 23:59:60 in UTC, which counts
// as the second after 23:59:59.
func parseRareForms(s string) (time.Time, error) {
	const date, seconds = len("2006-01-02"), len("2006-01-02T15:04:")
	b := []byte(s)
	if len(b) < seconds+3 {
		return time.Time{}, errNoTime
	}
	if b[date] == 't' || b[date] == ' ' {
		b[date] = 'T'
	}
	if last := len(b) - 1; b[last] == 'z' {
		b[last] = 'Z'
	}
	leap := string(b[seconds:seconds+2]) == "60"
	if leap {
		copy(b[seconds:], "59")
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if !leap || err != nil {
		return t, err
	}
	if hour, minute, _ := t.UTC().Clock(); hour != 23 || minute != 59 {
		return time.Time{}, errNoTime
	}
	return t.Add(time.Second), nil
}

var errNoTime = errors.New("no time")

// UnixTimestamp is the time that many seconds after 1970, rounded to
// nanoseconds. NaN, infinities and times outside the years 0 to 9999 give the
// zero Timestamp.
func UnixTimestamp(seconds float64) Timestamp {
	if !(seconds >= minSeconds && seconds < maxSeconds+1) { // NaN fails every comparison
		return Timestamp{}
	}
	whole := math.Floor(seconds)
	nanos := math.Round((seconds - whole) * 1e9)
	if nanos == 1e9 {
		whole, nanos = whole+1, 0
	}
	t, _ := unixTime(int64(whole), int64(nanos))
	return Timestamp{t}
}

// resolve gives the meaning of a timestamp as it lies in a message. Zero is what
// is no time, and Go's zero time: encoders write it where there is none.
func resolve(value []byte) Timestamp {
	var v msgpack.Value
	if _, r := msgpack.Read(value, 0, &v); r != ok {
		return Timestamp{}
	}
	var t time.Time
	switch v.Kind {
	case msgpack.KindExt:
		t, _ = Ext{Type: v.Type, Data: v.Data}.Time()
	case msgpack.KindStr:
		return ParseTimestamp(string(v.Data))
	case msgpack.KindInt:
		t, _ = unixTime(v.Int(), 0)
	case msgpack.KindFloat32, msgpack.KindFloat64:
		return UnixTimestamp(v.Float64())
	}
	return Timestamp{t}
}

// The years that RFC 3339, and so JSON, can write: 0 to 9999, in Unix seconds.
const minSeconds, maxSeconds = -62167219200, 253402300799

func inRange(seconds int64) bool { return seconds >= minSeconds && seconds <= maxSeconds }

func unixTime(seconds, nanos int64) (time.Time, bool) {
	if !inRange(seconds) || nanos > 999_999_999 {
		return time.Time{}, false
	}
	return time.Unix(seconds, nanos).UTC(), true
}

// EncodeMsgpack writes a msgpack timestamp (ext -1).
func (t Timestamp) EncodeMsgpack(enc *library.Encoder) error {
	_, err := enc.Writer().Write(msgpack.AppendTime(nil, t.Time))
	return err
}

// DecodeMsgpack reads what the wire allows: a msgpack timestamp, RFC 3339, or
// Unix seconds as an integer or float.
func (t *Timestamp) DecodeMsgpack(dec *library.Decoder) error {
	value, err := dec.DecodeRaw()
	if err != nil {
		return err
	}
	if _, r := scanTimestamp(value, 0); r != ok {
		return invalid(fieldTimestamp, r)
	}
	*t = resolve(value)
	return nil
}

var (
	_ library.CustomEncoder = Timestamp{}
	_ library.CustomDecoder = (*Timestamp)(nil)
)
