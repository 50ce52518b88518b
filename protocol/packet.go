package protocol

import (
	"encoding/binary"
	"fmt"
	"time"
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

// Time reads a msgpack timestamp, in UTC. false means that e is none: of another
// type or length, with a thousand million nanoseconds or more, or outside the
// years 0 to 9999.
func (e Ext) Time() (time.Time, bool) {
	if e.Type != -1 {
		return time.Time{}, false
	}
	switch b := e.Data; len(b) {
	case 4:
		return unixTime(int64(binary.BigEndian.Uint32(b)), 0)
	case 8:
		n := binary.BigEndian.Uint64(b)
		return unixTime(int64(n&(1<<34-1)), int64(n>>34))
	case 12:
		return unixTime(int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b)))
	}
	return time.Time{}, false
}

func (e Ext) String() string { return fmt.Sprintf("ext(%d, %x)", e.Type, e.Data) }
