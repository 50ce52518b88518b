package capacity

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
