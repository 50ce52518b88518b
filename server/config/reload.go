package config

import (
	"slices"

	"sluice/internal/cli"
)

// liveSettings are those that a running distributor can obey anew; all others
// are bound to an address, to memory that was made for them, or to the meaning
// of what is in flight.
var liveSettings = []string{
	analyzersFlag, "max-queue", "max-retries", "retry-delay", "queue-timeout",
	"health-check-interval", "silence", "ack-timeout", "spill-after", "slow-start", "grace",
	"max-connections", "max-connections-per-ip", "byte-budget", "log-level",
}

// NeedsRestart tells what of next a distributor that runs with the configuration
// running cannot obey: nil, or an *cli.Errors with every setting of that kind.
func NeedsRestart(running, next *Config) error {
	var faults []cli.Fault
	for _, s := range settings() {
		if was, is := s.show(running), s.show(next); was != is && !slices.Contains(liveSettings, s.flag) {
			faults = append(faults, cli.Fault{Text: s.key() + ": a change from " + was + " to " + is + " needs a restart"})
		}
	}
	if len(faults) == 0 && running.Limits != next.Limits {
		faults = append(faults, cli.Fault{Text: "the new values leave less memory or fewer descriptors for limits that were fixed at the start (see --check); that needs a restart"})
	}
	if len(faults) == 0 {
		return nil
	}
	return &cli.Errors{Faults: faults}
}
