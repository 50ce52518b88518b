package protocol

import (
	"math/bits"

	"sluice/internal/msgpack"
)

// Scanned is what a scan gives of a valid LogPacket. The slices are borrowed
// from the body (or, for a compressed frame, from the [Inspector]).
type Scanned struct {
	PacketID, AgentID []byte
	Messages          int // how many messages the packet holds, 0 or more
}

// The known keys of a packet and of a message, as bits of what was seen.
const (
	sawPacketID = 1 << iota
	sawAgentID
	sawMessages
	sawWholePacket = sawPacketID | sawAgentID | sawMessages
)

const (
	sawTimestamp = 1 << iota
	sawLevel
	sawSource
	sawText
	sawMetadata
	sawWholeMessage = sawTimestamp | sawLevel | sawSource | sawText // metadata may be absent
)

// Scan decides whether body is a valid LogPacket, a plain map and nothing
// after it, and fills s. On an error, always an *[InvalidError] made in
// advance, s is undefined.
//
// It is what every packet pays on its way through the distributor, and all
// that stands between the network and a msgpack library that believes every
// length it reads. So it never allocates and never recurses; it compares each
// declared count and length with the bytes that are left; and it looks at
// types, never at contents. What it accepts, [DecodePacket] decodes.
//
// The fast road, in scan_usual.go, is the one that encoders take. Next to it,
// scanAny compares keys with their header in one go where they are fixstr, so
// that the processor can guess where the value begins instead of waiting for a
// length. All else takes the general functions of internal/msgpack.
func Scan(body []byte, s *Scanned) error {
	if i := scanUsualHead(body, s); i >= 0 {
		for range s.Messages {
			if i = scanUsualMessage(body, i); i < 0 {
				return scanAny(body, s)
			}
		}
		if i == len(body) {
			return nil
		}
	}
	return scanAny(body, s)
}

// scanAny is Scan for what is not written in the usual way, or is wrong.
func scanAny(body []byte, s *Scanned) error {
	left, i, r := msgpack.MapHead(body, 0)
	if r != ok {
		return invalid(fieldBody, r)
	}
	var seen uint8
	for ; left > 0; left-- {
		var key uint8
		switch rest := body[i:]; {
		case len(rest) > 10 && string(rest[:10]) == "\xa9packet_id":
			key, i = sawPacketID, i+10
		case len(rest) > 9 && string(rest[:9]) == "\xa8agent_id":
			key, i = sawAgentID, i+9
		case len(rest) > 9 && string(rest[:9]) == "\xa8messages":
			key, i = sawMessages, i+9
		default:
			start, end, r := msgpack.Str(body, i)
			if r != ok {
				return invalid(fieldBody, keyFault(r))
			}
			if key, i = packetKey(body[start:end]), end; key == 0 {
				if i, r = msgpack.Skip(body, i, MaxDepth-1); r != ok {
					return invalid(fieldUnknown, r)
				}
				continue
			}
		}
		if seen&key != 0 {
			return invalid(packetField(key), duplicate)
		}
		seen |= key
		if key == sawMessages {
			if s.Messages, i, r = msgpack.ArrayHead(body, i); r != ok {
				return invalid(fieldMessages, r)
			}
			for range s.Messages {
				if next := scanUsualMessage(body, i); next >= 0 {
					i = next
					continue
				}
				var f field
				if i, f, r = scanMessage(body, i); r != ok {
					return invalid(f, r)
				}
			}
			continue
		}
		start, end := msgpack.ShortStr(body, i)
		if end < 0 {
			if start, end, r = msgpack.Str(body, i); r != ok {
				return invalid(packetField(key), r)
			}
		}
		if n := end - start; n == 0 || n > MaxIDBytes {
			return invalid(packetField(key), badLength)
		}
		i = end
		if key == sawPacketID {
			s.PacketID = body[start:end:end]
		} else {
			s.AgentID = body[start:end:end]
		}
	}
	if seen != sawWholePacket {
		return invalid(packetField(^seen), missing)
	}
	if i != len(body) {
		return invalid(fieldBody, trailing)
	}
	return nil
}

// scanMessage walks one LogMessage at i and returns the index after it, or the
// field and the fault.
func scanMessage(b []byte, i int) (int, field, reason) {
	left, i, r := msgpack.MapHead(b, i)
	if r != ok {
		return i, fieldMessage, r
	}
	var seen uint8
	for ; left > 0; left-- {
		var key uint8
		switch rest := b[i:]; {
		case len(rest) > 10 && string(rest[:10]) == "\xa9timestamp":
			key, i = sawTimestamp, i+10
		case len(rest) > 6 && string(rest[:6]) == "\xa5level":
			key, i = sawLevel, i+6
		case len(rest) > 7 && string(rest[:7]) == "\xa6source":
			key, i = sawSource, i+7
		case len(rest) > 8 && string(rest[:8]) == "\xa7message":
			key, i = sawText, i+8
		case len(rest) > 9 && string(rest[:9]) == "\xa8metadata":
			key, i = sawMetadata, i+9
		default:
			start, end, r := msgpack.Str(b, i)
			if r != ok {
				return i, fieldMessage, keyFault(r)
			}
			if key, i = messageKey(b[start:end]), end; key == 0 {
				if i, r = msgpack.Skip(b, i, MaxDepth-3); r != ok {
					return i, fieldUnknown, r
				}
				continue
			}
		}
		if seen&key != 0 {
			return i, messageField(key), duplicate
		}
		seen |= key
		switch key {
		case sawTimestamp:
			if len(b)-i >= 10 && b[i] == 0xd7 && b[i+1] == msgpack.TimestampExt {
				i += 10 // what encoders write
			} else if i, r = scanTimestamp(b, i); r != ok {
				return i, fieldTimestamp, r
			}
		case sawMetadata:
			if i, r = scanMetadata(b, i); r != ok {
				return i, fieldMetadata, r
			}
		default:
			_, end := msgpack.ShortStr(b, i)
			if end < 0 {
				if _, end, r = msgpack.Str(b, i); r != ok {
					return i, messageField(key), r
				}
			}
			i = end
		}
	}
	if seen&sawWholeMessage != sawWholeMessage {
		return i, messageField(^seen), missing
	}
	return i, fieldMessage, ok
}

// packetKey and messageKey are for keys that are not written as fixstr, and
// tell that a key is none of ours: 0.
func packetKey(key []byte) uint8 {
	switch string(key) {
	case "packet_id":
		return sawPacketID
	case "agent_id":
		return sawAgentID
	case "messages":
		return sawMessages
	}
	return 0
}

func messageKey(key []byte) uint8 {
	switch string(key) {
	case "timestamp":
		return sawTimestamp
	case "level":
		return sawLevel
	case "source":
		return sawSource
	case "message":
		return sawText
	case "metadata":
		return sawMetadata
	}
	return 0
}

// packetField and messageField name the lowest key of a set, for the error.
func packetField(keys uint8) field {
	return [...]field{fieldPacketID, fieldAgentID, fieldMessages}[bits.TrailingZeros8(keys|sawMessages)]
}

func messageField(keys uint8) field {
	return [...]field{
		fieldTimestamp, fieldLevel, fieldSource, fieldText, fieldMetadata,
	}[bits.TrailingZeros8(keys|sawMetadata)]
}

// keyFault is what a value that should be a key is accused of.
func keyFault(r reason) reason {
	if r == wrongType {
		return badKey
	}
	return r
}
