package api

import "time"

// The memory of the HTTP side is bounded by three of these: connections cost
// about 32 KiB each (goroutine, header, write and stream buffers), 72 MiB with
// the defaults; what /ingest reads, inflates, parses and encodes is charged to
// one budget, Config.BodyMemory, 128 MiB with the defaults; buffers
// kept for reuse are at most keepBytes each, and the garbage collector takes
// those.
const (
	// DefaultConcurrency is the number of connections that are served in full.
	DefaultConcurrency = 2048
	// An eighth of them, and no fewer than leastLate, may come on top. Those are not served /ingest,
	// and closed after one request, so that health checks get through when
	// senders have taken all others. Beyond them a connection is told 503.
	latePart  = 8
	leastLate = 8
	// evictAfter is how long a connection may keep us waiting when others want its
	// place: less than it takes to open as many anew as there are places.
	evictAfter = 100 * time.Millisecond
	// ingestPart is how many in a hundred connections may be in /ingest at a
	// time, waiting ones included; the rest is for those who watch.
	ingestPart = 75

	// memoryBodies × MaxBody is the budget for bodies in the making, unless
	// Config says another.
	memoryBodies = 32
	// valueBytes is what the JSON parser needs for one value, at most: 80 bytes
	// and a key, in an array that doubles.
	valueBytes = 256
	// minValues is the number of JSON values that a body may always have. A
	// packet of max_frame bytes has at most a value for each 8 bytes, unless it
	// is made of tiny metadata.
	minValues = 128 << 10
	// keepBytes is the largest buffer, and keepValues the largest parse, whose
	// memory is kept for the next request.
	keepBytes  = 256 << 10
	keepValues = 4096

	maxHeaderBytes   = 8 << 10
	writeBufferBytes = 4 << 10
	// streamAhead is how much of a body fasthttp reads before we are asked.
	streamAhead = 8 << 10

	headerTimeout = 10 * time.Second // from the first byte to the end of the header
	bodyTimeout   = 30 * time.Second // from there to the end of the body, unless it brings floorRate over each such span
	floorRate     = 128              // bytes a second
	writeTimeout  = 10 * time.Second
	idleTimeout   = 60 * time.Second // between requests
	maxWait       = 60 * time.Second // of ?wait

	// lingerTimeout and lingerBytes bound how much is read and thrown away
	// before a refused connection is closed: closing with unread input would
	// send RST, and the answer would be lost.
	lingerTimeout = time.Second
	lingerBytes   = 8 << 20

	retryAfter = time.Second // told with 503 when nothing better is known
)
