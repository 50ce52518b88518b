// Package seglog is a durable log of blocks in segment files. It knows neither
// what a block holds nor who uses it.
//
// A user reserves space for a block, appends it and hears when it is durable;
// reads on from where it was; and settles blocks, in any order. A segment of
// which every block is settled is deleted.
//
// # Space
//
// A reservation is backed by bytes that the file system has allocated to this
// log (fallocate), not by a counter. So a disk that others fill cannot break a
// promise: what was reserved can still be written. Segments are allocated
// ahead, whole, by the log's own goroutine, so that a reservation costs a few
// additions under a lock and never waits for the disk.
//
// # Files
//
// A segment is <prefix>-<sequence>.seg. The sequence is the time of its creation
// in microseconds, or the last sequence plus one when clocks go back, so a name
// is never used twice. It begins with a header of 32 bytes, then come batches,
// each at a multiple of 8:
//
//	0   magic
//	4   number of blocks, n
//	8   bytes of all blocks
//	12  CRC32C of the lengths and the blocks
//	16  offset up to which this segment was durable when the batch was written
//	24  low half of the segment's sequence: a batch of another file is none
//	28  CRC32C of the 28 bytes before
//	32  n marks, one byte each; n lengths, 4 bytes each; the blocks; padding
//
// A batch with no block seals the segment: nothing follows it.
//
// A mark is a block's settlement, written in place. It is outside of the
// checksum, takes no space that could be missing on a full disk, and cannot
// belong to another file, as a cursor in a file of its own could. A mark that is
// torn or flipped reads as "not settled": twice is better than never.
//
// # Recovery
//
//   - A block counts as durable after write and fsync of its segment, and the
//     segment's name after fsync of the folder. Until then it stays in memory.
//   - Any error while writing ends the segment. After a failed fsync nobody
//     knows what the disk has, so nothing is ever written behind it.
//   - Segments of an earlier run are never appended to.
//   - A batch at the end that is not whole was not durable and is cut off. If a
//     later batch says that it was, the segment is damaged: the damage is skipped,
//     everything else in it is read, and then the file is renamed, not deleted.
package seglog

import "time"

const (
	segmentHeaderBytes = 32
	batchHeaderBytes   = 32
	sealBytes          = batchHeaderBytes // kept free at the end of a segment
	blockOverheadBytes = 1 + 4            // mark and length
	alignBytes         = 8

	// chargeBytes is what a reservation takes beyond the block: as if it were
	// alone in its batch.
	chargeBytes = batchHeaderBytes + blockOverheadBytes + alignBytes

	// batchBytes is what one batch holds, and so what is read at once; a larger
	// block has a batch of its own. syncBytes is written between two fsyncs at
	// most, so that a slow disk still makes progress.
	batchBytes = 256 << 10
	syncBytes  = 4 << 20

	// maxBatchBlocks and maxBodyBytes bound what a header may declare.
	maxBatchBlocks = 1 << 16
	maxBodyBytes   = 128 << 20

	// pendingBytes may wait in memory for the disk before no more is promised.
	// What was promised before is on top of it.
	pendingBytes = 8 << 20

	// defaultSegmentBytes is where a segment ends: what is allocated at once, and
	// the unit in which space comes back. minSegmentBytes is the smallest that is
	// worth a file on a disk that is nearly full.
	defaultSegmentBytes = 8 << 20
	minSegmentBytes     = 64 << 10

	// openSegments is how many segments are kept open for reading.
	openSegments = 8
)

// Rhythm is how often things are done and tried again. Immutable.
type Rhythm struct {
	RetryMin, RetryMax time.Duration // after a failing write
	Sweep              time.Duration // look for deleted files and for space; sync marks
}

// DefaultRhythm is for real disks.
func DefaultRhythm() Rhythm {
	return Rhythm{RetryMin: 100 * time.Millisecond, RetryMax: 5 * time.Second, Sweep: time.Second}
}
