package protocol

import (
	"fmt"

	"sluice/internal/msgpack"
)

// Reasons an [InvalidError] gives. They are part of the answer that people
// read; programs only ask whether a frame is invalid at all.
const (
	ReasonTruncated = "ends before the value does"
	ReasonType      = "has the wrong type"
	ReasonMissing   = "is missing"
	ReasonDuplicate = "appears twice"
	ReasonLength    = "has a length outside 1 to 256 bytes"
	ReasonDepth     = "is nested deeper than 32"
	ReasonKey       = "has a key that is no string"
	ReasonTrailing  = "is followed by trailing bytes"
	ReasonInflate   = "cannot be inflated within the largest frame"
	ReasonTooLong   = "is longer than 4096 bytes"
	ReasonRange     = "is out of range"
	ReasonReserved  = "holds the reserved byte 0xc1"
)

// InvalidError says that a body is no valid LogPacket, or that a control frame
// is malformed: where, and why. The errors of [Scan], [Inspector] and
// [ParseControl] are values made once, so that refusing a frame costs no
// allocation; treat them as immutable.
type InvalidError struct {
	Field  string // the key on the wire, or "body", "control", "metadata key" …
	Reason string // one of the Reason constants
}

func (e *InvalidError) Error() string { return e.Field + " " + e.Reason }

// LengthError says that a frame's header declares no possible length. The
// stream cannot be followed past it.
type LengthError struct {
	Length uint32 // as declared, in bytes
	Max    int    // the largest allowed, in bytes
}

func (e *LengthError) Error() string {
	return fmt.Sprintf("frame length %d is outside 1 to %d bytes", e.Length, e.Max)
}

// field and reason index the table of errors. Small numbers keep the hot
// functions free of string headers.
type field uint8

const (
	fieldBody field = iota
	fieldPacketID
	fieldAgentID
	fieldMessages
	fieldMessage // one element of messages
	fieldTimestamp
	fieldLevel
	fieldSource
	fieldText // the key "message" of a message
	fieldMetadata
	fieldUnknown // the value of a key that is not ours
	fieldControl
	fieldCount
)

// reason numbers the faults of a packet after those of a single value.
type reason = msgpack.Fault

const (
	ok         = msgpack.OK
	truncated  = msgpack.Truncated
	wrongType  = msgpack.WrongType
	tooDeep    = msgpack.TooDeep
	reserved   = msgpack.Reserved
	outOfRange = msgpack.OutOfRange
)

const (
	missing = msgpack.Faults + iota
	duplicate
	badLength
	badKey
	trailing
	badInflate
	tooLong
	reasonCount
)

// invalidErrors is read only after it is built.
var invalidErrors = buildInvalidErrors()

func buildInvalidErrors() *[fieldCount][reasonCount]InvalidError {
	fields := [fieldCount]string{
		fieldBody: "body", fieldPacketID: "packet_id", fieldAgentID: "agent_id",
		fieldMessages: "messages", fieldMessage: "messages[]", fieldTimestamp: "timestamp",
		fieldLevel: "level", fieldSource: "source", fieldText: "message",
		fieldMetadata: "metadata", fieldUnknown: "value of an unknown key", fieldControl: "control frame",
	}
	reasons := [reasonCount]string{
		truncated: ReasonTruncated, wrongType: ReasonType, missing: ReasonMissing,
		duplicate: ReasonDuplicate, badLength: ReasonLength, tooDeep: ReasonDepth,
		badKey: ReasonKey, trailing: ReasonTrailing, badInflate: ReasonInflate,
		tooLong: ReasonTooLong, outOfRange: ReasonRange, reserved: ReasonReserved,
	}
	t := new([fieldCount][reasonCount]InvalidError)
	for f := range fields {
		for r := range reasons {
			t[f][r] = InvalidError{Field: fields[f], Reason: reasons[r]}
		}
	}
	return t
}

func invalid(f field, r reason) error { return &invalidErrors[f][r] }
