package config

import "time"

// Limits are the settings that have no flag. Each is given here, once, with its
// unit and what it costs; worst.go adds the costs up, and related.go raises them
// to what other settings need. Immutable once the node has it.
type Limits struct {
	// SessionWindowFrames and SessionWindowBytes are what one agent may have
	// unsettled: at most 4 MiB of the byte budget for each agent, or one frame if
	// that may be larger.
	SessionWindowFrames int
	SessionWindowBytes  int
	// LinkWindowFrames and LinkWindowBytes are what one link to an analyzer may
	// hold, staged or in flight: analyzers × loops × 8 MiB of the byte budget, or
	// one frame if that may be larger, and 32 bytes for each frame outside of it.
	// Fit may lower the frames.
	LinkWindowFrames int
	LinkWindowBytes  int
	// HTTPConnections are served in full at a time; see server/api for those
	// that come on top. Fit may lower it.
	HTTPConnections int
	// HTTPBodyBytes is the budget for bodies of /ingest in the making. 0 is
	// httpBodies × MaxBody, or what the largest one needs. Fit may lower it, and
	// sets it.
	HTTPBodyBytes int64
}

func defaultLimits() Limits {
	return Limits{
		SessionWindowFrames: 4096,
		SessionWindowBytes:  4 << 20,
		LinkWindowFrames:    32768,
		LinkWindowBytes:     8 << 20,
		HTTPConnections:     2048,
	}
}

// The ranges of the settings that have a flag. The upper ends are there to
// catch a slipped digit, not because anything would break just above them.
const (
	MaxAnalyzers = 1024

	maxWorkers     = 1024
	maxQueue       = 10_000_000
	maxRetries     = 1000
	maxRetryDelay  = time.Hour
	minHealthCheck = 100 * time.Millisecond
	maxHealthCheck = time.Hour
	minSilence     = 500 * time.Millisecond // a loop that stood still for less is not excused
	minPatience    = 10 * time.Millisecond
	maxPatience    = time.Hour
	minDeadLetters = 1 << 20
	maxDeadLetters = 1 << 50
	minFrameBytes  = 4 << 10
	maxFrameBytes  = 64 << 20
	minBodyBytes   = 4 << 10
	maxBodyBytes   = 64 << 20
	maxConnections = 10_000_000
	minByteBudget  = 4 << 20
	maxByteBudget  = 1 << 50
	minMemory      = 32 << 20
	maxMemory      = 1 << 50
	maxNameBytes   = 64
)

// What things cost. Where another room knows better, it is named: these are the
// same numbers, so that the sum can be made before anything is built.
const (
	entryBytes = 32        // a frame in a ring; server/dispatch entry
	chunkBytes = 256 << 10 // a piece of a stage; server/dispatch
	spareBytes = 8 << 20   // free chunks that a loop keeps; server/dispatch spareChunks
	readBytes  = 256 << 10 // what a loop reads at once; server/loop
	writeBytes = 256 << 10 // what gnet may hold of a link: one write; server/dispatch

	// connectionBytes is the worst of one connection of an agent, outside of the
	// byte budget. An idle one that has sent and heard of a few packets was
	// measured at 1.5 KiB of resident memory (8,000 and 15,000 of them, the
	// growth of VmRSS by their number); its bitmap of settled numbers grows to
	// 8 KiB when one packet of very many stays unanswered. The rest is room for
	// the collector's size classes.
	connectionBytes = 12 << 10

	// httpConnectionBytes is the worst of one HTTP connection outside of the
	// budget for bodies: goroutine, header, write and stream buffers; server/api.
	httpConnectionBytes = 32 << 10
	httpBodies          = 32        // largest bodies that the budget for them is made for
	httpValueBytes      = 256       // for the parse of one JSON value; server/api valueBytes
	httpMinValues       = 128 << 10 // values that a body may always have; server/api minValues
	// httpLateParts: one in so many HTTP connections comes on top of those served
	// in full, and as many again may linger after they were refused.
	httpLateParts = 8

	// letterBytes is what the dead letters have in memory on their way to the
	// disk and back: two batches to write, what is read ahead, and the window of
	// their delivery; server/deadletter.
	letterBytes = 16 << 20

	// baseBytes is a process that does nothing: 13 MiB were measured, with two
	// loops; the rest is for the runtime's own tables, which grow with the heap.
	baseBytes = 24 << 20
	// headroomParts: one in so many bytes on top of all others is the collector's,
	// so that it has garbage to find when everything else is full.
	headroomParts = 8

	// baseDescriptors are those of the process: standard streams, ports, dead
	// letters, name lookups, and what a turned-away agent holds for a second
	// (server/listener). loopDescriptors: epoll, its wake-up, the loop's own
	// connection, and one that is being handed over.
	baseDescriptors = 32 + 32
	loopDescriptors = 4
)
