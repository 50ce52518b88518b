package capacity

import (
	"fmt"

	"sluice/internal/cli"
	"sluice/protocol"
	"sluice/server/config"
)

// relate derives the limits without a flag from those that have one: whatever
// --max-frame admits must fit into every window on its way. A frame that no link
// ever takes would wait until it fails, and keep what is behind it waiting.
func relate(cfg *config.Config) {
	cfg.LinkWindowBytes = max(cfg.LinkWindowBytes, cfg.MaxFrame+protocol.HeaderSize)
	cfg.SessionWindowBytes = max(cfg.SessionWindowBytes, cfg.MaxFrame+protocol.HeaderSize)
	if cfg.HTTPBodyBytes == 0 {
		cfg.HTTPBodyBytes = max(httpBodies*int64(cfg.MaxBody), largestRequest(cfg))
	}
}

// framesAtLeast is how often the budget must hold the largest frame, so that it
// passes when nothing else is in hand: as it comes in, on its way to an
// analyzer, and once more for buffers that grow in steps. With two, frames of 16
// MiB were told busy although the distributor was idle; with 2.75 they passed.
const framesAtLeast = 3

// lettersAtLeast is how often the dead-letter folder must hold the largest frame:
// its segments are allocated ahead and are not shared, so that a part of it is
// always where a large frame does not fit.
const lettersAtLeast = 5

// unrelated are the faults of limits that contradict each other, each naming
// both: what one of them admits would find no memory or no place under the
// other, and be told to come again, forever.
func (f *fitter) unrelated() (faults []cli.Fault) {
	frame := int64(f.cfg.MaxFrame)
	for _, limit := range []struct {
		flag        string
		has, needed int64
	}{
		{"byte-budget", f.cfg.ByteBudget, framesAtLeast * (frame + protocol.HeaderSize + chunkBytes)},
		{"dead-letter-max", int64(f.cfg.DeadLetterMax), lettersAtLeast * (frame + protocol.HeaderSize)},
	} {
		if limit.has < limit.needed {
			needed := (limit.needed + 1<<20 - 1) >> 20 << 20
			faults = append(faults, cli.Fault{Setting: f.named(limit.flag), Value: cli.FormatSize(limit.has), Text: fmt.Sprintf(
				"must be at least %s with %s %s, or packets of that size would never be taken; raise the one or lower the other",
				cli.FormatSize(needed), f.named("max-frame"), cli.FormatSize(frame))})
		}
	}
	return faults
}
