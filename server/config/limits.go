package config

import "time"

// Limits are the settings that have no flag. Each is given here, once, with its
// unit and what it costs; server/capacity adds the costs up, and raises
// them to what other settings need. Immutable once the node has it.
type Limits struct {
	// SessionWindowFrames and SessionWindowBytes are what one agent may have
	// unsettled: at most 4 MiB of the byte budget for each agent, or one frame if
	// that may be larger.
	SessionWindowFrames int
	SessionWindowBytes  int
	// LinkWindowFrames and LinkWindowBytes are what one link to an analyzer may
	// hold, staged or in flight: analyzers × loops × 8 MiB of the byte budget, or
	// one frame if that may be larger, and 32 bytes for each frame outside of it.
	// capacity.Fit may lower the frames.
	LinkWindowFrames int
	LinkWindowBytes  int
	// HTTPConnections are served in full at a time; see server/api for those
	// that come on top. capacity.Fit may lower it.
	HTTPConnections int
	// HTTPBodyBytes is the budget for bodies of /ingest in the making. 0 is
	// 32 × MaxBody, or what the largest one needs. capacity.Fit may lower it, and
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
	MinByteBudget  = 4 << 20
	maxByteBudget  = 1 << 50
	minMemory      = 32 << 20
	maxMemory      = 1 << 50
	maxNameBytes   = 64
)
