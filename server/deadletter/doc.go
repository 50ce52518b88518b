// Package deadletter keeps the packets that the distributor has accepted with a
// 202 and that no analyzer took, in files, and delivers them from there once
// analyzers are well.
//
// Its promise: a frame for which a place was reserved, and that was put, is
// delivered at least once, or kept for a human to look at, whatever the disk,
// the analyzers and the process do in between. A crash of the process loses at
// most what was put and not yet written; nobody was told that it was.
//
// The folder holds:
//
//	lock                              whoever has it locked writes the rest; names its pid
//	letters-<sequence>.frames         wire frames, back to back, that wait for delivery
//	letters-<sequence>.cursor         up to where that file is delivered
//	refused-<sequence>.frames         frames that were refused for ever; never delivered
//	<any of them>.frames.bad          damaged files, set aside; nobody reads them
//
// A sequence has 16 digits and grows. It is the time of the file's creation in
// microseconds (or the last sequence plus one, when clocks go back), so that a
// name is never used twice, not even after a restart, and so tells how old the
// letters are, also in a copy.
//
// What makes it safe is the order of things:
//
//   - A frame counts as kept after write, fsync of the file and, for a new file,
//     of the folder. Until then it stays in memory.
//   - Any error while writing ends the file: it is cut back to its last whole
//     frame, and what was not kept goes to a new one. After a failed fsync
//     nobody knows what the disk has, so nothing is ever written behind it.
//   - Files of an earlier run are never appended to.
//   - A file goes first, its cursor after it: the other way round a crash would
//     deliver the whole file again, and a cursor that is left behind is harmless.
//   - What cannot be understood is renamed, never deleted. A cursor that does
//     not fit its file is ignored: twice is better than never.
//
// The obvious way, one file per packet as mail servers do it, costs two fsyncs
// and an inode each; a database is a dependency that has to be trusted with the
// same promise. Frames back to back are what the wire has, so that anything
// that reads a connection reads a dead letter.
package deadletter

import "time"

// Limits and rhythms, each with what it costs.
const (
	// fileBytes is where a file ends and the next begins: what a crash during
	// delivery has to read again, and the unit in which space comes back.
	fileBytes = 8 << 20

	// chunkBytes is what is written at once; batchBytes is written between two
	// fsyncs at most, so that a disk that is nearly full still makes progress.
	chunkBytes = 256 << 10
	batchBytes = 4 << 20

	// pendingBytes may wait in memory for the disk before no more is promised.
	// What was promised before is on top of it.
	pendingBytes = 8 << 20

	// readBytes is read ahead from a file that is delivered.
	readBytes = 256 << 10

	// maxFrameBytes bounds what a header may declare in a file, whatever
	// MaxFrame is today: letters outlive a change of configuration.
	maxFrameBytes = 64 << 20

	// windowFrames and windowBytes are in flight during delivery at most, and
	// so are what a restart repeats at most.
	windowFrames = 256
	windowBytes  = 4 << 20
)

// rhythm is how often things are done and tried again. Immutable.
type rhythm struct {
	writeRetryMin, writeRetryMax time.Duration // after a failing write
	offerRetryMin, offerRetryMax time.Duration // after a refusal, and for a file that cannot be read
	sweep                        time.Duration // look at the disk's free space, and for files deleted by hand
	cursor                       time.Duration // between two cursors
	poll                         time.Duration // look whether analyzers are well
}

func defaultRhythm() rhythm {
	return rhythm{
		writeRetryMin: 250 * time.Millisecond, writeRetryMax: 5 * time.Second,
		offerRetryMin: 100 * time.Millisecond, offerRetryMax: 5 * time.Second,
		sweep: 5 * time.Second, cursor: time.Second, poll: 250 * time.Millisecond,
	}
}
