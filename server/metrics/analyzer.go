package metrics

import (
	"time"

	"sluice/internal/exposition"
	"sluice/server/dispatch"
	"sluice/server/health"
	"sluice/server/stats"
)

// One analyzer, as the distributor sees it.
var (
	analyzerInfo      = catalog.Gauge("sluice_analyzer_info", "Always 1; the labels name an analyzer and where it is dialled.", "analyzer", "address")
	analyzerState     = catalog.Gauge("sluice_analyzer_state", "1 for the state that the analyzer is in, 0 for the others.", "analyzer", "state")
	analyzerSince     = catalog.Gauge("sluice_analyzer_state_since_timestamp_seconds", "When it came into that state.", "analyzer")
	transitions       = catalog.Counter("sluice_analyzer_transitions_total", "Changes of its state.", "analyzer")
	weight            = catalog.Gauge("sluice_analyzer_weight", "Its weight as configured.", "analyzer")
	effectiveWeight   = catalog.Gauge("sluice_analyzer_effective_weight", "The weight that it is picked by: 0 while it is down, rising in slow start.", "analyzer")
	targetShare       = catalog.Gauge("sluice_analyzer_target_share_ratio", "Its part of all packets by the configured weights, 0 to 1.", "analyzer")
	effectiveShare    = catalog.Gauge("sluice_analyzer_effective_share_ratio", "Its part of all packets by the effective weights, 0 to 1.", "analyzer")
	actualShare       = catalog.Gauge("sluice_analyzer_actual_share_ratio", "Its part of all dispatches since the start, 0 to 1; for the last minutes take the rates of sluice_analyzer_delivered_packets_total.", "analyzer")
	recentShare       = catalog.Gauge("sluice_analyzer_actual_share_since_change_ratio", "The same since the configuration last changed.", "analyzer")
	analyzerPicked    = catalog.Counter("sluice_analyzer_picked_packets_total", "Packets that the exact split by weight, or the sticky key, assigned to it.", "analyzer")
	analyzerGiven     = catalog.Counter("sluice_analyzer_dispatched_packets_total", "Packets staged for it, nothing having failed; one that spills from it counts again where it goes.", "analyzer")
	analyzerDelivered = catalog.Counter("sluice_analyzer_delivered_packets_total", "Packets that it has acknowledged.", "analyzer")
	analyzerTakenBack = catalog.Counter("sluice_analyzer_redispatched_packets_total", "Packets that were taken back from it unacknowledged and dispatched again.", "analyzer")
	analyzerInFlight  = catalog.Gauge("sluice_analyzer_in_flight_packets", "Packets staged for it or handed to it, and not yet acknowledged.", "analyzer")
	links             = catalog.Gauge("sluice_analyzer_links", "Links to it that carry data; sluice_loops when it is whole.", "analyzer")
	linkFailures      = catalog.Counter("sluice_analyzer_link_failures_total", "Links to it that were lost, and dials that failed.", "analyzer")
	ackLatency        = catalog.Histogram("sluice_analyzer_ack_latency_seconds", "Time from the write of a packet to the analyzer until its acknowledgement.", "analyzer")
)

var states = func() (names []string) {
	for _, s := range health.States() {
		names = append(names, string(s))
	}
	return names
}()

func sayAnalyzer(s *exposition.Scrape, a *stats.Analyzer) {
	s.Number(analyzerInfo, 1, a.Name, a.Address)
	s.OneOf(analyzerState, states, a.State, a.Name)
	s.Number(analyzerSince, seconds(a.Since), a.Name)
	s.Number(transitions, float64(a.Transitions), a.Name)
	s.Number(weight, a.Weight, a.Name)
	s.Number(effectiveWeight, a.EffectiveWeight, a.Name)
	s.Number(targetShare, a.TargetShare, a.Name)
	s.Number(effectiveShare, a.EffectiveShare, a.Name)
	s.Number(actualShare, a.ActualShare, a.Name)
	s.Number(recentShare, a.ActualShareNow, a.Name)
	s.Number(analyzerPicked, float64(a.PickedPackets), a.Name)
	s.Number(analyzerGiven, float64(a.DispatchedPackets), a.Name)
	s.Number(analyzerDelivered, float64(a.DeliveredPackets), a.Name)
	s.Number(analyzerTakenBack, float64(a.RedispatchedPackets), a.Name)
	s.Number(analyzerInFlight, float64(a.InFlightPackets), a.Name)
	s.Number(links, float64(a.Links), a.Name)
	s.Number(linkFailures, float64(a.LinkFailures), a.Name)
	sayLatency(s, &a.Latency, a.Name)
}

// The buckets of the exported histogram: powers of two of a microsecond, from
// 256 µs to 34 s, which holds an ACK over loopback and three times the default
// of --ack-timeout. They look odd (0.001024), and are exact: they are bounds
// that the loops count by, so that nothing is estimated.
const (
	firstBound = 4*7 + 3  // dispatch.LatencyBound of it is 2^8 µs
	lastBound  = 4*24 + 3 // 2^25 µs
	boundStep  = 4
)

func sayLatency(s *exposition.Scrape, h *dispatch.Latency, name string) {
	upTo := make(map[float64]uint64, (lastBound-firstBound)/boundStep+1)
	var count uint64
	for i, n := range h.Buckets {
		count += n
		if i >= firstBound && i <= lastBound && (i-firstBound)%boundStep == 0 {
			upTo[dispatch.LatencyBound(i).Seconds()] = count
		}
	}
	s.Distribution(ackLatency, count, float64(h.Micros)/1e6, upTo, name)
}

// seconds is a time as Prometheus has it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
