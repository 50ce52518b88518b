package dispatch

import "time"

// Config holds the limits and times that a Core obeys. Every field has its
// unit in its name or type; Defaults documents the values and why.
// Immutable.
type Config struct {
	MaxFrame int // bytes of body that a data frame may have

	SessionWindowFrames int // unsettled data frames that a sender may have
	SessionWindowBytes  int // unsettled bytes, headers included

	HeldFrames int // lower bound of the credit in frames that all senders share; see credit.go

	LinkWindowFrames int // frames that a link may have in flight, written or not
	LinkWindowBytes  int // bytes that a link may have in flight
	HandOverMin      int // frames that a link may always have written and unacknowledged
	HandOverFactor   int // written and unacknowledged: this many times what was acknowledged in HandOverSpan
	HandOverSpan     time.Duration
	ProbationFrames  int // first window of a link whose analyzer was given up before

	MaxQueueFrames int   // frames waiting without a link, over all loops
	ByteBudget     int64 // bytes of chunks and partial frames, over all loops

	MaxRetries   int           // hand-overs after the first failed one
	RetryDelay   time.Duration // before the second further hand-over, doubling, with jitter
	QueueTimeout time.Duration // longest wait of a frame in the queue

	PingAfter   time.Duration // frames in flight and no byte for this long: PING
	Silence     time.Duration // frames in flight (or a PING) and no byte for this long: given up
	AckTimeout  time.Duration // bytes but no ACK progress for this long: given up
	HealthCheck time.Duration // PING interval without traffic; at most ProbeEvery while the analyzer is out of the table
	Handshake   time.Duration // longest wait for an analyzer's WELCOME
	SpillAfter  time.Duration // age of the oldest unacknowledged frame that makes a link late

	PartialFrame time.Duration // a frame that is not complete must bring FloorRate over each such span
	WriteStall   time.Duration // longest time for a sender to leave its answers unread
	Idle         time.Duration // a sender that said HELLO and is silent with nothing in flight for so long is PINGed; 0: never
	IdleAnswer   time.Duration // longest wait for its answer
	FirstFrame   time.Duration // longest time for the first frame of a connection to come
	IdlePlain    time.Duration // a sender that said no HELLO and is silent for so long is hung up on; 0: never

	Lineage Lineage // looks for forwarding loops; nil: nobody does

	Strict bool  // a frame waits for the analyzer that was picked for it
	Route  Route // what the pick depends on
	Name   string
}

// Lineage knows which distributors are before and behind this one, and refuses a
// connection that would close a loop; server/lineage is the one that is used.
// Must be safe for concurrent use: all cores have the same one.
type Lineage interface {
	Via() []string
	Reach() []string
	AddSender(key any, via []string) error
	DropSender(key any)
	AddReceiver(key any, reach []string) error
	DropReceiver(key any)
}

// Route says what an analyzer is picked by.
type Route uint8

// The routes: the exact weighted sequence, or rendezvous hashing of a key.
const (
	RouteWeighted Route = iota
	RouteAgent
	RoutePacket
)

// FloorRate is what an incomplete frame must bring at least, in bytes a second: an
// agent behind 8 kbit/s is slow, one below this is stuck, or pretends to be.
const FloorRate = 128

// InflateBytes is how many bytes are inflated for one source in one turn, at least
// one packet: about a millisecond of work.
const InflateBytes = 1 << 20

const (
	// writeBytes bounds one write to a link: more would only lie in the
	// event loop's own buffer, out of our reach.
	writeBytes = 256 << 10
	// maxRetryDelay ends the doubling of RetryDelay when MaxRetries is large.
	maxRetryDelay = 30 * time.Second
)

// Defaults returns the documented limits. The memory that they imply is the
// byte budget plus 32 bytes for each frame held.
func Defaults() Config {
	return Config{
		MaxFrame:            1 << 20,
		SessionWindowFrames: 4096,
		SessionWindowBytes:  4 << 20,
		HeldFrames:          16384,
		LinkWindowFrames:    32768,
		LinkWindowBytes:     8 << 20,
		HandOverMin:         64,
		HandOverFactor:      4,
		HandOverSpan:        10 * time.Millisecond,
		ProbationFrames:     64,
		MaxQueueFrames:      5000,
		ByteBudget:          256 << 20,
		MaxRetries:          2,
		RetryDelay:          500 * time.Millisecond,
		QueueTimeout:        60 * time.Second,
		PingAfter:           250 * time.Millisecond,
		Silence:             time.Second,
		AckTimeout:          10 * time.Second,
		HealthCheck:         5 * time.Second,
		Handshake:           5 * time.Second,
		SpillAfter:          200 * time.Millisecond,
		PartialFrame:        30 * time.Second,
		WriteStall:          30 * time.Second,
		Idle:                time.Minute,
		IdleAnswer:          10 * time.Second,
		FirstFrame:          30 * time.Second,
		IdlePlain:           10 * time.Minute,
		Name:                "sluice",
	}
}
