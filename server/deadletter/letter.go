package deadletter

import (
	"encoding/binary"

	"sluice/protocol"
)

// Prefixes of the two logs' files.
const (
	PrefixLetters = "letters"
	PrefixRefused = "refused"
)

// kind says what becomes of a letter. Immutable.
type kind byte

const (
	waiting kind = 1 // to be delivered
	refused kind = 2 // never to be delivered
)

// letterBytes is what a letter has before its reason and its frame: kind, a
// zero, and the length of the reason.
const letterBytes = 4

// blockSize is the size of a letter without a reason.
func blockSize(frame int) int { return letterBytes + frame }

func appendLetter(dst []byte, k kind, reason string, frame []byte) []byte {
	reason = reason[:min(len(reason), maxReason)]
	dst = append(dst, byte(k), 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(reason)))
	return append(append(dst, reason...), frame...)
}

// parseLetter cuts a block; false: it is not a letter.
func parseLetter(block []byte) (k kind, reason, frame []byte, ok bool) {
	if len(block) < letterBytes {
		return 0, nil, nil, false
	}
	n := letterBytes + int(binary.LittleEndian.Uint16(block[2:]))
	if n > len(block) {
		return 0, nil, nil, false
	}
	k, reason, frame = kind(block[0]), block[letterBytes:n], block[n:]
	return k, reason, frame, (k == waiting || k == refused) && isFrame(frame)
}

func isFrame(b []byte) bool {
	return len(b) > protocol.HeaderSize && int(protocol.FrameLength(b)) == len(b)-protocol.HeaderSize
}
