package config

import "time"

// Limits are the settings that have no flag yet. Each is given here, once,
// with its unit and what it costs. Immutable once the node has it.
type Limits struct {
	// Silence: an analyzer with frames in flight that sends no byte at all for
	// so long is given up. It bounds how long one hung analyzer can hold what
	// was handed to it.
	Silence time.Duration
	// PingAfter is how long frames may be in flight without a byte before the
	// analyzer is asked with a PING whether it is alive. A few times below
	// Silence, so that one slow answer is not silence.
	PingAfter time.Duration
	// AckTimeout: an analyzer that answers PINGs but acknowledges nothing for
	// so long is given up.
	AckTimeout time.Duration
	// SpillAfter is the age of the oldest unacknowledged frame from which on
	// an analyzer gets nothing new while another does better.
	SpillAfter time.Duration
	// QueueTimeout is the longest that a frame whose sender can resend it waits
	// for any analyzer.
	QueueTimeout time.Duration
	// Grace is the longest that a stop takes. Below the 30 s after which
	// container runtimes kill.
	Grace time.Duration

	// SessionWindowFrames and SessionWindowBytes are what one agent may have
	// unsettled: at most 4 MiB of the byte budget for each agent.
	SessionWindowFrames int
	SessionWindowBytes  int
	// LinkWindowFrames and LinkWindowBytes are what one link to an analyzer may
	// hold, staged or in flight: analyzers × loops × 8 MiB of the byte budget.
	LinkWindowFrames int
	LinkWindowBytes  int
	// ByteBudget is the memory for frames over all loops and in all places:
	// stages, queue, partial frames, mailboxes. The process needs some 64 MiB
	// more.
	ByteBudget int64
}

func defaultLimits() Limits {
	return Limits{
		Silence:             time.Second,
		PingAfter:           250 * time.Millisecond,
		AckTimeout:          10 * time.Second,
		SpillAfter:          200 * time.Millisecond,
		QueueTimeout:        60 * time.Second,
		Grace:               25 * time.Second,
		SessionWindowFrames: 4096,
		SessionWindowBytes:  4 << 20,
		LinkWindowFrames:    32768,
		LinkWindowBytes:     8 << 20,
		ByteBudget:          256 << 20,
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
	minFrameBytes  = 4 << 10
	maxFrameBytes  = 64 << 20
	minBodyBytes   = 4 << 10
	maxBodyBytes   = 64 << 20
	maxNameBytes   = 64
)
