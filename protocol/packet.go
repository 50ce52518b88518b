package protocol

import (
	"fmt"
	"math"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"sluice/protocol/wire"
)

// Level is the severity of a message, a str on the wire. Its content is not
// judged by the scan; see [ValidLevel] for those who do.
type Level string

// The five levels.
const (
	LevelDebug    Level = "DEBUG"
	LevelInfo     Level = "INFO"
	LevelWarning  Level = "WARNING"
	LevelError    Level = "ERROR"
	LevelCritical Level = "CRITICAL"
)

// ValidLevel says whether s is one of the five levels, in capitals.
func ValidLevel(s string) bool {
	switch Level(s) {
	case LevelDebug, LevelInfo, LevelWarning, LevelError, LevelCritical:
		return true
	}
	return false
}

// LogPacket is what an agent sends in one data frame and what is acknowledged
// as one. PacketID and AgentID are 1 to [MaxIDBytes] bytes.
type LogPacket struct {
	PacketID string       `json:"packet_id" msgpack:"packet_id"`
	AgentID  string       `json:"agent_id" msgpack:"agent_id"`
	Messages []LogMessage `json:"messages" msgpack:"messages"`
}

// LogMessage is one line of a log.
//
// The values of Metadata are, after a decode: nil, bool, int64, uint64 (only
// above the range of int64), float32, float64, string, []byte, []any,
// map[string]any, time.Time and [Ext].
type LogMessage struct {
	Timestamp Timestamp      `json:"timestamp" msgpack:"timestamp"`
	Level     Level          `json:"level" msgpack:"level"`
	Source    string         `json:"source" msgpack:"source"`
	Message   string         `json:"message" msgpack:"message"`
	Metadata  map[string]any `json:"metadata,omitempty" msgpack:"metadata,omitempty"`
}

// Ext is a value of metadata of an ext type that this package gives no meaning,
// kept so that it can be passed on as it came.
type Ext struct {
	Type int8
	Data []byte
}

// Timestamp is the time of a message. The zero value means that the sender gave
// none that can be understood; the receiver then takes the time of receipt.
type Timestamp struct{ time.Time }

// ParseTimestamp reads RFC 3339, with a fraction or without. A string that is
// no time gives the zero Timestamp: types are judged, contents are not.
func ParseTimestamp(s string) Timestamp {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return Timestamp{}
	}
	return inRange(t)
}

// UnixTimestamp is the time that many seconds after 1970. NaN, infinities and
// times outside the years 0 to 9999 give the zero Timestamp.
func UnixTimestamp(seconds float64) Timestamp {
	if !(math.Abs(seconds) < 1<<40) { // NaN fails every comparison
		return Timestamp{}
	}
	whole, frac := math.Modf(seconds)
	return unixTimestamp(int64(whole), int64(math.Round(frac*1e9)))
}

func unixTimestamp(seconds, nanos int64) Timestamp {
	if seconds < -1<<40 || seconds > 1<<40 {
		return Timestamp{} // beyond what time.Unix computes correctly
	}
	return inRange(time.Unix(seconds, nanos).UTC())
}

// inRange keeps the years that RFC 3339, and so JSON, can write.
func inRange(t time.Time) Timestamp {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return Timestamp{}
	}
	return Timestamp{t}
}

// EncodeMsgpack writes a msgpack timestamp (ext -1).
func (t Timestamp) EncodeMsgpack(enc *msgpack.Encoder) error {
	_, err := enc.Writer().Write(wire.AppendTime(nil, t.Time))
	return err
}

// DecodeMsgpack reads what the wire allows: a msgpack timestamp, RFC 3339, or
// Unix seconds as an integer or float.
func (t *Timestamp) DecodeMsgpack(dec *msgpack.Decoder) error {
	got, err := decodeTimestamp(dec)
	if err == nil {
		*t = got
	}
	return err
}

var (
	_ msgpack.CustomEncoder = Timestamp{}
	_ msgpack.CustomDecoder = (*Timestamp)(nil)
)

func (e Ext) String() string { return fmt.Sprintf("ext(%d, %x)", e.Type, e.Data) }
