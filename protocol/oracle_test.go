package protocol_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"sluice/protocol"
)

// judgedTime is a time as docs/PROTOCOL.md defines it, computed without overflow.
type judgedTime struct {
	isTime  bool
	seconds *big.Int // since 1970
	nanos   int64
	inexact bool // from a float: a nanosecond to either side is as good
}

// timeOf gives the time of that many seconds and nanoseconds.
func timeOf(seconds *big.Int, nanos int64) judgedTime {
	first := big.NewInt(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
	last := big.NewInt(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix())
	if nanos >= 1e9 || seconds.Cmp(first) < 0 || seconds.Cmp(last) > 0 {
		return judgedTime{}
	}
	return judgedTime{isTime: true, seconds: seconds, nanos: nanos}
}

func extTime(typ int8, data []byte) judgedTime {
	if typ != -1 {
		return judgedTime{}
	}
	n := new(big.Int).SetBytes(data)
	switch len(data) {
	case 4:
		return timeOf(n, 0)
	case 8:
		seconds := new(big.Int).And(n, big.NewInt(1<<34-1))
		return timeOf(seconds, n.Rsh(n, 34).Int64())
	case 12:
		return timeOf(big.NewInt(int64(binary.BigEndian.Uint64(data[4:]))), int64(binary.BigEndian.Uint32(data)))
	}
	return judgedTime{}
}

func floatTime(f float64) judgedTime {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return judgedTime{}
	}
	exact := new(big.Float).SetPrec(2200).SetFloat64(f)
	nanos, _ := exact.Mul(exact, big.NewFloat(1e9)).Int(nil)
	seconds, rest := new(big.Int).DivMod(nanos, big.NewInt(1e9), new(big.Int))
	t := timeOf(seconds, rest.Int64())
	t.inexact = true
	return t
}

// grammar is RFC 3339's, with the comma that Go takes, too.
var grammar = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)([.,]\d+)?([Zz]|[+-]\d\d:\d\d)$`)

func rfc3339(s string) (time.Time, error) {
	m := grammar.FindStringSubmatch(s)
	if m == nil {
		return time.Parse(time.RFC3339Nano, s)
	}
	leap := m[3] == "60"
	if leap {
		m[3] = "59"
	}
	t, err := time.Parse(time.RFC3339Nano, m[1]+"T"+m[2]+m[3]+m[4]+strings.ToUpper(m[5]))
	if leap && err == nil {
		if t.UTC().Format("15:04") != "23:59" {
			return t, errors.New("no leap second")
		}
		t = t.Add(time.Second)
	}
	return t, err
}

// timestamp reads a timestamp in any form that the wire allows.
func (j judge) timestamp() (judgedTime, error) {
	c, err := j.PeekCode()
	switch {
	case err != nil:
		return judgedTime{}, err
	case isStr(c):
		s, err := j.str()
		t, parseErr := rfc3339(s)
		if err != nil || parseErr != nil {
			return judgedTime{}, err
		}
		return timeOf(big.NewInt(t.Unix()), int64(t.Nanosecond())), nil
	case c == 0xcf:
		n, err := j.DecodeUint64()
		return timeOf(new(big.Int).SetUint64(n), 0), err
	case c < 0x80, c >= 0xe0, c >= 0xcc && c <= 0xd3:
		n, err := j.DecodeInt64()
		return timeOf(big.NewInt(n), 0), err
	case c == 0xca, c == 0xcb:
		f, err := j.DecodeFloat64()
		return floatTime(f), err
	case c >= 0xd4 && c <= 0xd8, c >= 0xc7 && c <= 0xc9:
		typ, n, err := j.DecodeExtHeader()
		if err != nil || typ != -1 || n != 4 && n != 8 && n != 12 {
			return judgedTime{}, errJudge
		}
		data := make([]byte, n)
		err = j.ReadFull(data)
		return extTime(typ, data), err
	}
	return judgedTime{}, errJudge
}

// is says whether got is the time that the judge found, in UTC. The judge knows
// no zero time: Go's is one like any other to it, and none to the readers.
func (want judgedTime) is(got protocol.Timestamp) bool {
	if got.Location() != time.UTC {
		return false
	}
	if !want.isTime {
		// A float may lie a rounding beyond the last nanosecond of 9999.
		return got.IsZero() || want.inexact && got.Year() == 0 && got.Unix() == time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	}
	exact := time.Unix(want.seconds.Int64(), want.nanos)
	if want.inexact {
		if got.IsZero() {
			return exact.Year() == 9999 && exact.Nanosecond() == 999_999_999 || exact.Sub(time.Time{}).Abs() <= 1
		}
		return got.Sub(exact).Abs() <= 1
	}
	return got.Equal(exact)
}

// viewAgrees holds the view against the judge.
func viewAgrees(t *testing.T, body []byte, want judged) {
	t.Helper()
	v, m, n := protocol.NewView(body), protocol.Message{}, 0
	if string(v.PacketID) != want.id || string(v.AgentID) != want.agent || v.Messages != len(want.messages) {
		t.Fatalf("view: %q %q %d, judge: %+v", v.PacketID, v.AgentID, v.Messages, want)
	}
	for ; v.Next(&m); n++ {
		w := want.messages[n]
		if string(m.Level) != w.level || string(m.Source) != w.source || string(m.Text) != w.text {
			t.Fatalf("message %d: view: %q %q %q, judge: %+v", n, m.Level, m.Source, m.Text, w)
		}
		if (m.Metadata == nil) != (w.metadata == nil) || !bytes.Equal(m.Metadata, w.metadata) {
			t.Fatalf("message %d: metadata of the view: %x, of the judge: %x", n, m.Metadata, w.metadata)
		}
		got := m.Timestamp()
		if !w.time.is(got) {
			t.Fatalf("message %d: time of the view: %v, of the judge: %+v", n, got, w.time)
		}
		var byLibrary protocol.Timestamp
		if err := msgpack.Unmarshal(w.timestamp, &byLibrary); err != nil || byLibrary != got {
			t.Fatalf("message %d: time of the view: %v, of msgpack/v5: %v, %v", n, got, byLibrary, err)
		}
	}
	if n != len(want.messages) {
		t.Fatalf("the view ends after %d of %d messages", n, len(want.messages))
	}
}

// decodeAgrees holds a decoded packet against the judge, metadata included.
func decodeAgrees(t *testing.T, p *protocol.LogPacket, want judged) {
	t.Helper()
	if p.PacketID != want.id || p.AgentID != want.agent || len(p.Messages) != len(want.messages) {
		t.Fatalf("decoded %+v, judge: %+v", p, want)
	}
	for n := range p.Messages {
		m, w := &p.Messages[n], want.messages[n]
		if string(m.Level) != w.level || m.Source != w.source || m.Message != w.text || !w.time.is(m.Timestamp) {
			t.Fatalf("message %d: decoded %+v, judge: %+v", n, m, w)
		}
		metadata := map[string]any(nil)
		if w.metadata != nil {
			value, err := libraryAny(msgpack.NewDecoder(bytes.NewReader(w.metadata)))
			if err != nil {
				t.Fatalf("message %d: metadata by msgpack/v5: %v", n, err)
			}
			metadata = value.(map[string]any)
		}
		// As bytes: a NaN is not equal to itself.
		if got, want := encodedMetadata(m.Metadata), encodedMetadata(metadata); !bytes.Equal(got, want) {
			t.Fatalf("message %d: metadata decoded %v, by msgpack/v5 %v", n, m.Metadata, metadata)
		}
	}
}

func encodedMetadata(metadata map[string]any) []byte {
	return protocol.AppendPacket(nil, &protocol.LogPacket{Messages: []protocol.LogMessage{{Metadata: metadata}}})
}

// goThrough reads what the scan refused, with the readers that expect a scanned
// body: they may find less than there is, and must end.
func goThrough(body []byte) {
	v, m := protocol.NewView(body), protocol.Message{}
	for v.Next(&m) {
		m.Timestamp()
	}
}

// libraryAny decodes one value of any type by the tokens of msgpack/v5, whose own
// decoding of free values fails on much that the wire allows. It
// recurses, at most to the depth that the scan has allowed.
func libraryAny(dec *msgpack.Decoder) (any, error) {
	c, err := dec.PeekCode()
	if err != nil {
		return nil, err
	}
	switch {
	case c < 0x80, c >= 0xe0, c >= 0xcc && c <= 0xce, c >= 0xd0 && c <= 0xd3:
		return dec.DecodeInt64()
	case c == 0xcf:
		n, err := dec.DecodeUint64()
		if n > math.MaxInt64 || err != nil {
			return n, err
		}
		return int64(n), nil
	case c&0xf0 == 0x80, c == 0xde, c == 0xdf:
		return libraryMap(dec)
	case c&0xf0 == 0x90, c == 0xdc, c == 0xdd:
		return libraryArray(dec)
	case c&0xe0 == 0xa0, c >= 0xd9 && c <= 0xdb:
		return dec.DecodeString()
	case c == 0xc0:
		return nil, dec.DecodeNil()
	case c == 0xc2, c == 0xc3:
		return dec.DecodeBool()
	case c >= 0xc4 && c <= 0xc6:
		return dec.DecodeBytes()
	case c == 0xca:
		return dec.DecodeFloat32()
	case c == 0xcb:
		return dec.DecodeFloat64()
	case c == 0xc1:
		return nil, errJudge
	default:
		return libraryExt(dec)
	}
}

func libraryArray(dec *msgpack.Decoder) (any, error) {
	n, err := dec.DecodeArrayLen()
	if err != nil {
		return nil, err
	}
	list := make([]any, n)
	for i := range list {
		if list[i], err = libraryAny(dec); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// libraryMap makes text of keys that are none.
func libraryMap(dec *msgpack.Decoder) (any, error) {
	n, err := dec.DecodeMapLen()
	if err != nil {
		return nil, err
	}
	m := make(map[string]any, n)
	for range n {
		key, err := libraryAny(dec)
		if err != nil {
			return nil, err
		}
		value, err := libraryAny(dec)
		if err != nil {
			return nil, err
		}
		switch key := key.(type) {
		case string:
			m[key] = value
		case []byte:
			m[string(key)] = value
		default:
			m[fmt.Sprint(key)] = value
		}
	}
	return m, nil
}

func libraryExt(dec *msgpack.Decoder) (any, error) {
	typ, n, err := dec.DecodeExtHeader()
	if err != nil {
		return nil, err
	}
	data := make([]byte, n)
	if err := dec.ReadFull(data); err != nil {
		return nil, err
	}
	if when := extTime(typ, data); when.isTime {
		return time.Unix(when.seconds.Int64(), when.nanos).UTC(), nil
	}
	return protocol.Ext{Type: typ, Data: data}, nil
}
