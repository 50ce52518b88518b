// Package deadletter keeps the packets that the distributor has accepted with a
// 202 and that no analyzer took, on disk, and delivers them from there once
// analyzers are well. It is the policy; how blocks become durable is
// [sluice/internal/seglog].
//
// Its promise: a frame for which space was reserved, and that was put, is
// delivered at least once, or kept for a human to look at, whatever the disk,
// the analyzers and the process do in between. A crash of the process loses at
// most what was put and not yet written; nobody was told that it was.
//
// The folder holds:
//
//	lock                      whoever has it locked writes the rest; names its pid
//	letters-<sequence>.seg    letters that wait for delivery
//	refused-<sequence>.seg    letters that are never delivered, with the reason
//	<either>.seg.bad          damaged files, set aside; nobody reads them
//	*.frames, *.cursor        of earlier releases; taken over at start
//
// A reservation is space that is allocated on the disk, in the log of letters.
// A letter that is refused goes to the log of refused ones; its reservation
// stays until it is durable there, and is used if that cannot be written.
//
// A letter that cannot be delivered blocks nobody: those behind it go first,
// and it is tried again later and later. A try counts against the letter, and
// not against the analyzers, only if a letter that was offered after it was
// delivered before it failed, or other packets were if few letters are there,
// and hardly any other letter failed meanwhile: an outage refuses nothing. After [MaxTries] such tries it is refused. Tries are marks in
// the log, so a restart does not begin at none.
//
// At most a window of letters is offered and not settled. So a restart after
// kill -9 repeats at most that window, and after a power failure also what was
// delivered in the second before.
package deadletter

import "time"

// MaxTries is how many failures of its own a letter may have.
const MaxTries = 5

// Limits, each with what it costs.
const (
	// windowFrames and windowBytes are in flight during delivery at most, and
	// so are what kill -9 repeats at most.
	windowFrames = 256
	windowBytes  = 4 << 20

	// lateLetters that failed are remembered in memory, with when to try them
	// again; more are found again when the log is read from its beginning.
	lateLetters = 4096

	// lettersSegment and refusedSegment are where files end: the unit in which
	// space is allocated and comes back.
	lettersSegment = 8 << 20
	refusedSegment = 256 << 10

	// maxFrameBytes bounds what a header may declare in a file, whatever
	// MaxFrame is today: letters outlive a change of configuration.
	maxFrameBytes = 64 << 20

	// maxReason is kept of the text why a letter is refused.
	maxReason = 512
)

// rhythm is how often things are done and tried again. Immutable.
type rhythm struct {
	offerRetryMin, offerRetryMax   time.Duration // of all letters, after a refusal
	letterRetryMin, letterRetryMax time.Duration // of one letter, after a failure
	poll                           time.Duration // look whether analyzers are well
	takeOver                       time.Duration // files of an earlier release that there was no space for
}

func defaultRhythm() rhythm {
	return rhythm{
		offerRetryMin: 100 * time.Millisecond, offerRetryMax: 5 * time.Second,
		letterRetryMin: 500 * time.Millisecond, letterRetryMax: time.Minute,
		poll: 250 * time.Millisecond, takeOver: 5 * time.Second,
	}
}
