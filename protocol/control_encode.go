package protocol

import (
	"encoding/binary"
	"time"
	"unicode/utf8"

	"sluice/internal/msgpack"
)

// The Append functions append one whole control frame, header and body, to dst
// and allocate nothing but what dst needs to grow.

// maxText bounds the texts of NACK and GOAWAY, in bytes: people read them, and
// the frame must stay far below MaxControlFrame.
const maxText = 512

// open leaves room for a header; seal writes it, now that the body is there.
func open(dst []byte) ([]byte, int) { return append(dst, 0, 0, 0, 0), len(dst) }

func seal(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-HeaderSize))
	return dst
}

// AppendHello appends [1, {v, agent, token, via}]; what is empty is left out. All
// together must stay below [MaxControlFrame].
func AppendHello(dst []byte, h Hello) []byte {
	dst, at := open(dst)
	pairs := 1
	if h.Agent != "" {
		pairs++
	}
	if h.Token != "" {
		pairs++
	}
	if len(h.Via) > 0 {
		pairs++
	}
	dst = msgpack.AppendMapHead(append(dst, 0x92, byte(OpHello)), pairs)
	dst = msgpack.AppendUint(append(dst, "\xa1v"...), uint64(h.Version))
	if h.Agent != "" {
		dst = msgpack.AppendStr(append(dst, "\xa5agent"...), h.Agent)
	}
	if h.Token != "" {
		dst = msgpack.AppendStr(append(dst, "\xa5token"...), h.Token)
	}
	if len(h.Via) > 0 {
		dst = appendHops(append(dst, "\xa3via"...), h.Via)
	}
	return seal(dst, at)
}

// AppendWelcome appends [2, {v, server, frames, bytes, max_frame, compression,
// reach}]; an empty reach is left out.
func AppendWelcome(dst []byte, w Welcome) []byte {
	dst, at := open(dst)
	pairs := 6
	if len(w.Reach) > 0 {
		pairs++
	}
	dst = msgpack.AppendMapHead(append(dst, 0x92, byte(OpWelcome)), pairs)
	dst = msgpack.AppendUint(append(dst, "\xa1v"...), uint64(w.Version))
	dst = msgpack.AppendStr(append(dst, "\xa6server"...), w.Server)
	dst = msgpack.AppendUint(append(dst, "\xa6frames"...), w.Frames)
	dst = msgpack.AppendUint(append(dst, "\xa5bytes"...), w.Bytes)
	dst = msgpack.AppendUint(append(dst, "\xa9max_frame"...), uint64(w.MaxFrame))
	dst = msgpack.AppendArrayHead(append(dst, "\xabcompression"...), len(w.Compression))
	for _, c := range w.Compression {
		dst = msgpack.AppendStr(dst, c.String())
	}
	if len(w.Reach) > 0 {
		dst = appendHops(append(dst, "\xa5reach"...), w.Reach)
	}
	return seal(dst, at)
}

// appendHops appends at most MaxHops identities, the first ones.
func appendHops(dst []byte, ids []string) []byte {
	ids = ids[:min(len(ids), MaxHops)]
	dst = msgpack.AppendArrayHead(dst, len(ids))
	for _, id := range ids {
		dst = msgpack.AppendStr(dst, id)
	}
	return dst
}

// AppendAck appends [3, n, frames, bytes]: all up to n is settled, and frames
// and bytes are the absolute credit.
func AppendAck(dst []byte, n, frames, bytes uint64) []byte {
	dst, at := open(dst)
	dst = append(dst, 0x94, byte(OpAck))
	dst = msgpack.AppendUint(msgpack.AppendUint(msgpack.AppendUint(dst, n), frames), bytes)
	return seal(dst, at)
}

// AppendNack appends [4, n, code, retry_after_ms, text, count]. A count of 1,
// or 0, is left out; a text longer than 512 bytes is cut.
func AppendNack(dst []byte, n uint64, code NackCode, retryAfter time.Duration, text string, count uint64) []byte {
	dst, at := open(dst)
	if count > 1 {
		dst = append(dst, 0x96, byte(OpNack))
	} else {
		dst = append(dst, 0x95, byte(OpNack))
	}
	dst = msgpack.AppendUint(msgpack.AppendUint(dst, n), uint64(code))
	dst = msgpack.AppendUint(dst, uint64(max(0, retryAfter)/time.Millisecond))
	dst = msgpack.AppendStr(dst, cut(text))
	if count > 1 {
		dst = msgpack.AppendUint(dst, count)
	}
	return seal(dst, at)
}

// AppendPing appends [5, echo].
func AppendPing(dst []byte, echo uint64) []byte {
	dst, at := open(dst)
	return seal(msgpack.AppendUint(append(dst, 0x92, byte(OpPing)), echo), at)
}

// AppendPong appends [6, x], x being the Echo of the PING that is answered: one
// raw msgpack value.
func AppendPong(dst, echo []byte) []byte {
	dst, at := open(dst)
	return seal(append(append(dst, 0x92, byte(OpPong)), echo...), at)
}

// AppendGoaway appends [7, code, text]. A text longer than 512 bytes is cut.
func AppendGoaway(dst []byte, code GoawayCode, text string) []byte {
	dst, at := open(dst)
	dst = msgpack.AppendUint(append(dst, 0x93, byte(OpGoaway)), uint64(code))
	return seal(msgpack.AppendStr(dst, cut(text)), at)
}

// cut shortens a text at a rune's boundary.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
