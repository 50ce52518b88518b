package receive

import (
	"time"

	"sluice/protocol"
)

// Every limit of this room. A connection holds at most: its read buffer
// (firstRead … one frame + fullRead), its inbox, twice (4 × the byte window,
// and one frame), spareSegments of it, maxAnswers of NACKs, and 48 bytes for each ACK that a delay
// holds back (at most delaySteps of them).
const (
	// DefaultWindowFrames and DefaultWindowBytes (header + body) are how far a
	// sender may be ahead of what is settled: what a distributor keeps in
	// flight on one link.
	DefaultWindowFrames = 32768
	DefaultWindowBytes  = 8 << 20

	// firstRead keeps an idle connection cheap; fullRead is what the buffer
	// grows to while reads fill it.
	firstRead = 8 << 10
	fullRead  = 256 << 10

	// batchBytes is after how much (inflated) the worker flushes and acknowledges, even
	// if the inbox holds more: it bounds how long an ACK waits for others.
	batchBytes = 256 << 10

	// segmentBytes is what an inbox grows by: a read's worth. Reads are not cut,
	// so at worst segments are half full. spareSegments is how many empty ones a
	// connection keeps.
	segmentBytes  = fullRead
	spareSegments = 4

	// maxAnswers is at how many bytes pending answers are written even if
	// their batch goes on.
	maxAnswers = 64 << 10

	// delaySteps is into how many steps a delay is divided; ACKs that fall into
	// one step are written as one.
	delaySteps = 64

	// DefaultWriteTimeout is how long a peer may refuse to read its answers.
	DefaultWriteTimeout = 10 * time.Second

	// DefaultFrameTimeout is how long one frame may take from its first byte to
	// its last.
	DefaultFrameTimeout = 30 * time.Second

	// lastWords is how long a connection that was closed by us is still read,
	// so that unread input does not turn the last answers into a reset.
	lastWords = time.Second

	// quiet is how long no byte must have come from a sender that was told to
	// go, before its connection is closed.
	quiet = 250 * time.Millisecond

	// maxDrain is how long a sender that goes on after GOAWAY is answered.
	maxDrain = 5 * time.Second

	// Retry advice in a NACK.
	retryBusy        = 100 * time.Millisecond
	retryUnavailable = time.Second

	minAcceptBackoff = 5 * time.Millisecond
	maxAcceptBackoff = time.Second
)

// maxSpan is repeated here for its consequence: an ACK never offers credit
// beyond this many frames above the number it acknowledges.
const maxSpan = protocol.MaxCreditSpan
