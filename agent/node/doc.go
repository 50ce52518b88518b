// Package node builds a whole agent and runs it: inputs, shipping, checkpoint.
// Any number of them run in one process.
//
// # How no line is lost
//
//	file ─▶ tail: read, cut ─▶ checkpoint: the cut ─▶ ship: parse, encode ─▶ client ─▶ distributor
//	           ▲                      ▲                                        │
//	           └── position           └── offset ◀── ledger ◀── ship: answers ◀┘
//
// 1. Identity. A file is its device, its inode, its creation time where the file
// system tells it, and a checksum of its first bytes (up to 1 KiB; a young
// file's grows with it). Names are for finding files and for people. So a
// rotated file is the same file, wherever it is now; an inode that is used again
// is another; and a file that was truncated and written anew begins a new life
// with an id of its own. A copy, as copytruncate makes them, is told by the
// checksum of everything that was delivered of the original, and goes on behind
// it: it is not shipped twice, and what the truncation would have lost is read
// from it.
//
// 2. Cuts. A packet is a range of a file: packet_id is agent, file id, start and
// end. Its end is decided by bytes when there are many and by time when there are
// few, so it is written to the journal before the packet is sent. After a crash
// the ranges that may have been sent are sent again exactly as they were: same
// bytes, same ids, same records in them, so that a receiver can drop what it has
// seen. One mechanism for both kinds of ends; package checkpoint tells why not
// the other.
//
// 3. Offsets. The offset of a file moves only over ranges that are contiguous
// and acknowledged, each when its answer comes, in the journal too. A packet that
// is refused holds its file's offset where it is: too large ones are cut again
// into smaller ones, others are tried again later, and /stats shows the file as
// refused. Nothing is skipped.
//
// 4. Bounds. Raw buffers are a fixed number, the client's memory is a fixed
// number of bytes, a file may have ReadAhead bytes without an answer. With the
// distributor stopped all of them fill and reading stops; the positions of files
// cost nothing. Rotated files are kept open meanwhile, so that they can be read
// after they were deleted: their disk space is the price.
//
// What can be lost, and is counted where it can be: bytes that were truncated
// before they were read and are in no copy that a pattern matches; files that
// were created, rotated out of every pattern, and were never seen because no
// agent ran (let the pattern match rotated names); unread files that were deleted
// while no agent ran; and streams' bytes, see package stream.
package node
