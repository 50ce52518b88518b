package protocol

import "sluice/internal/msgpack"

// What encoders write: the keys in the order of the documentation, as fixstr;
// ids, level and source as fixstr or str 8; a timestamp of 64 bits. Where
// everything is where it is expected there is nothing to remember and no key to
// look up, and the processor goes on to the next field before it knows that the
// last one was right. These functions return the index behind what they walked,
// or -1, which decides nothing: then the packet is scanned by scanAny.

// scanUsualHead walks a LogPacket up to its first message.
func scanUsualHead(b []byte, s *Scanned) int {
	const packetID, agentID, messages = "\x83\xa9packet_id", "\xa8agent_id", "\xa8messages"
	if len(b) < len(packetID) || string(b[:len(packetID)]) != packetID {
		return -1
	}
	start, i := msgpack.ShortStr(b, len(packetID))
	if i <= start || len(b)-i < len(agentID) || string(b[i:i+len(agentID)]) != agentID {
		return -1
	}
	s.PacketID = b[start:i:i]
	start, i = msgpack.ShortStr(b, i+len(agentID))
	if i <= start || len(b)-i <= len(messages) || string(b[i:i+len(messages)]) != messages {
		return -1
	}
	s.AgentID = b[start:i:i]
	if i += len(messages); b[i]&0xf0 == 0x90 {
		s.Messages = int(b[i] & 0x0f)
		return i + 1
	}
	count, i, r := msgpack.ArrayHead(b, i)
	if r != ok {
		return -1
	}
	s.Messages = count
	return i
}

// scanUsualMessage walks one LogMessage at i.
func scanUsualMessage(b []byte, i int) int {
	const head, level, source, message, metadata = "\xa9timestamp\xd7\xff", "\xa5level", "\xa6source", "\xa7message", "\xa8metadata"
	const afterTimestamp = 1 + len(head) + 8
	if len(b)-i < afterTimestamp+len(level) {
		return -1
	}
	m := b[i:]
	pairs := m[0] // of a fixmap
	if pairs != 0x84 && pairs != 0x85 ||
		string(m[1:1+len(head)]) != head || string(m[afterTimestamp:afterTimestamp+len(level)]) != level {
		return -1
	}
	_, i = msgpack.ShortStr(b, i+afterTimestamp+len(level))
	if i < 0 || len(b)-i < len(source) || string(b[i:i+len(source)]) != source {
		return -1
	}
	_, i = msgpack.ShortStr(b, i+len(source))
	if i < 0 || len(b)-i < len(message) || string(b[i:i+len(message)]) != message {
		return -1
	}
	start := i + len(message)
	if _, i = msgpack.ShortStr(b, start); i < 0 {
		var r reason
		if _, i, r = msgpack.Str(b, start); r != ok {
			return -1
		}
	}
	if pairs == 0x84 {
		return i
	}
	if len(b)-i <= len(metadata) || string(b[i:i+len(metadata)]) != metadata {
		return -1
	}
	if i += len(metadata); b[i] == 0x80 || b[i] == 0xc0 { // none
		return i + 1
	}
	i, r := scanMetadata(b, i)
	if r != ok {
		return -1
	}
	return i
}
