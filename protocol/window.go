package protocol

import "math"

// SendWindow is the sender's side of the credit of one connection: what it may
// send, and what it has sent that is not settled. Credit is absolute and never
// taken back. Bytes count header and body of data frames. Owned by whoever
// owns the connection; not safe for concurrent use.
type SendWindow struct {
	frames, bytes                 uint64 // the credit
	sentFrames, sentBytes         uint64
	unsettledFrames, unsettledLen int
}

// NewSendWindow returns a window with the credit that holds without HELLO, or
// before WELCOME.
func NewSendWindow() SendWindow {
	return SendWindow{frames: FirstCreditFrames, bytes: FirstCreditBytes}
}

// Raise takes the credit of a WELCOME or an ACK. A lower number changes
// nothing, because credit once given stays.
func (w *SendWindow) Raise(frames, bytes uint64) {
	w.frames = max(w.frames, frames)
	w.bytes = max(w.bytes, bytes)
}

// CanSend says whether a frame of size bytes, header and body, may be sent now.
// With nothing unsettled one frame of any allowed size may go, credit or not:
// otherwise a frame larger than the whole window would never move.
func (w *SendWindow) CanSend(size int) bool {
	return w.sentFrames < w.frames && w.sentBytes+uint64(size) <= w.bytes || w.unsettledFrames == 0
}

// Sent counts a data frame of size bytes that was handed to the socket; its
// number is then [SendWindow.Number].
func (w *SendWindow) Sent(size int) { w.SentRun(1, size) }

// Batch says how much may be sent in one write of most bytes whose first frame has
// first bytes: so many frames, of so many bytes in all, header and body. The first
// frame may be larger than most; and if nothing is unsettled it goes, credit or not.
// No frames: not even the first.
func (w *SendWindow) Batch(first, most int) (frames, bytes int) {
	if !w.CanSend(first) {
		return 0, 0
	}
	room := w.frames - min(w.frames, w.sentFrames)
	left := w.bytes - min(w.bytes, w.sentBytes)
	return int(max(1, min(room, math.MaxInt32))), max(first, int(min(left, uint64(most))))
}

// SentRun is Sent for several frames of so many bytes in all.
func (w *SendWindow) SentRun(frames, bytes int) {
	w.sentFrames += uint64(frames)
	w.sentBytes += uint64(bytes)
	w.unsettledFrames += frames
	w.unsettledLen += bytes
}

// Settled counts the first answers to frames of so many bytes in all. The
// caller tells first answers from later ones; more settled than sent counts as
// all that was sent.
func (w *SendWindow) Settled(frames, bytes int) {
	w.unsettledFrames = max(0, w.unsettledFrames-frames)
	w.unsettledLen = max(0, w.unsettledLen-bytes)
}

// Unsettled returns what was sent and has no answer yet.
func (w *SendWindow) Unsettled() (frames, bytes int) { return w.unsettledFrames, w.unsettledLen }

// Number returns how many data frames were sent, which is the number of the
// last one. Frames are numbered from 1.
func (w *SendWindow) Number() uint64 { return w.sentFrames }
