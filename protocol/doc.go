// Package protocol is the wire of Sluice, in both directions and for both ends:
// frames, the scan that judges a LogPacket, control frames, encoding, decoding,
// compression, and the two pure pieces that both ends of a connection need, the
// credit window and the ack sequence. docs/PROTOCOL.md tells the same in prose.
//
// The package opens no socket, starts no goroutine and reads no clock. Whatever
// comes from the network is judged before anything is allocated for it: see
// [Scan], [ParseControl] and [FrameReader].
package protocol

import "sluice/internal/msgpack"

// Version is the only protocol version there is; HELLO and WELCOME carry it.
const Version = 1

// Limits of the wire. Each holds for every frame of every connection.
const (
	// HeaderSize is the length of a frame's header in bytes: one big endian u32
	// that counts the bytes of the body.
	HeaderSize = 4

	// DefaultMaxFrame is the largest body, in bytes, that may be sent before a
	// WELCOME says otherwise, and the largest a compressed one may inflate to.
	DefaultMaxFrame = 1 << 20

	// MaxControlFrame bounds the body of a control frame in bytes, so that no
	// answer ever costs more than a page.
	MaxControlFrame = 4096

	// MaxDepth is how many arrays and maps may be open inside each other,
	// the LogPacket's own map being the first. It is the height of the scan's
	// stack, and bounds the recursion of everything that decodes afterwards.
	MaxDepth = msgpack.MaxDepth

	// MaxIDBytes bounds packet_id and agent_id.
	MaxIDBytes = 256

	// FirstCreditFrames and FirstCreditBytes (header + body) may be sent
	// without HELLO, or before WELCOME.
	FirstCreditFrames = 4096
	FirstCreditBytes  = 4 << 20

	// MaxCreditSpan is the largest distance, in frames, between what is settled
	// without a gap and what may be sent. It bounds the bitmap of an
	// [AckSequence] to 8 KiB.
	MaxCreditSpan = 65536
)
