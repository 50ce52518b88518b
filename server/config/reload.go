package config

import "sluice/internal/cli"

// NeedsRestart tells what of next a distributor that runs with the configuration
// running cannot obey: nil, or a *cli.Errors with every setting of that kind. Such
// a setting is bound to an address, to memory that was made for it, or to the
// meaning of what is in flight.
func NeedsRestart(running, next *Config) error {
	var faults []cli.Fault
	for _, s := range settings() {
		if was, is := s.show(running), s.show(next); was != is && !s.live {
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
