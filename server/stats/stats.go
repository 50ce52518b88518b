package stats

import (
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// Snapshot is the answer to GET /stats. Counts are since the start, except
// those of what is there now: queued, in flight, sessions, links. Immutable.
type Snapshot struct {
	UptimeSeconds       float64           `json:"uptime_seconds"`
	Loops               int               `json:"loops"`
	Draining            bool              `json:"draining"`
	ReceivedPackets     uint64            `json:"received_packets"`
	ReceivedMessages    uint64            `json:"received_messages"`
	ReceivedBytes       uint64            `json:"received_bytes"`
	DeliveredPackets    uint64            `json:"delivered_packets"`
	RejectedPackets     map[string]uint64 `json:"rejected_packets"` // by protocol.NackCode's name
	RedispatchedPackets uint64            `json:"redispatched_packets"`
	SpilledPackets      uint64            `json:"spilled_packets"`
	DeadLetteredPackets uint64            `json:"dead_lettered_packets"`
	AbandonedPackets    uint64            `json:"abandoned_packets"`
	QueuedPackets       uint64            `json:"queued_packets"`
	MaxQueuedPackets    uint64            `json:"max_queued_packets"` // beyond them: busy, 503
	InFlightPackets     uint64            `json:"in_flight_packets"`
	UnaccountedPackets  int64             `json:"unaccounted_packets"` // 0, or there is a bug
	Sessions            uint64            `json:"sessions"`            // open agent connections, silent ones too
	HungUpSessions      uint64            `json:"hung_up_sessions"`    // closed with a GOAWAY for a fault
	LateAnswers         uint64            `json:"late_answers"`        // of analyzers, to packets answered before
	FalseAcks           uint64            `json:"false_acks"`          // of analyzers, for what was never sent to them
	ByteBudget          ByteBudget        `json:"byte_budget"`
	DeadLetters         DeadLetters       `json:"dead_letters"`
	Connections         Connections       `json:"connections"`
	HTTP                HTTP              `json:"http"`
	ConfigGeneration    uint64            `json:"config_generation"` // 1 at the start, one more with each reload
	ConfigLoadedAt      time.Time         `json:"config_loaded_at"`
	ConfigLastError     string            `json:"config_last_error"` // why the last reload was refused and the one before stays in force; empty: it was not
	DroppedLogLines     uint64            `json:"dropped_log_lines"` // because nobody took them, since the program's start
	Analyzers           []Analyzer        `json:"analyzers"`
}

// ByteBudget is the memory for packets that are not yet acknowledged. Immutable.
type ByteBudget struct {
	UsedBytes int64 `json:"used_bytes"`
	MaxBytes  int64 `json:"max_bytes"`
}

// Connections are those of agents, since the start, by what became of them.
// Immutable.
type Connections struct {
	Open         int               `json:"open"`
	Max          int               `json:"max"`
	Accepted     uint64            `json:"accepted"`
	Refused      map[string]uint64 `json:"refused"`       // in all, per address, not taken by a loop
	AcceptErrors map[string]uint64 `json:"accept_errors"` // by what was lacking
}

// HTTP is what the HTTP side has seen. Refused are requests by why they were
// refused. Immutable.
type HTTP struct {
	Requests uint64            `json:"requests"`
	Refused  map[string]uint64 `json:"refused"`
}

// DeadLetters is what lies in the dead-letter folder. While it is not writable
// or full nothing is answered 202. Immutable.
type DeadLetters struct {
	Packets         uint64     `json:"packets"`          // that wait for delivery
	RefusedPackets  uint64     `json:"refused_packets"`  // that an analyzer refused permanently; they stay
	ReplayedPackets uint64     `json:"replayed_packets"` // delivered from the folder since the start
	DamagedFiles    uint64     `json:"damaged_files"`    // set aside, for people to look at
	Bytes           int64      `json:"bytes"`
	ReservedBytes   int64      `json:"reserved_bytes"` // for packets answered 202 and on their way
	MaxBytes        int64      `json:"max_bytes"`
	OldestAt        *time.Time `json:"oldest_at,omitempty"`
	Writable        bool       `json:"writable"`
	Full            bool       `json:"full"`
	Error           string     `json:"error,omitempty"`
}

// Analyzer is one analyzer's part of a Snapshot. Shares are 0 to 1. Immutable.
type Analyzer struct {
	Name                string    `json:"name"`
	Address             string    `json:"address"`
	State               string    `json:"state"`
	Since               time.Time `json:"since"`            // of the state
	Reason              string    `json:"reason,omitempty"` // of the state
	Transitions         int       `json:"transitions"`      // of the state, since the start
	Weight              float64   `json:"weight"`
	EffectiveWeight     float64   `json:"effective_weight"`          // 0 while it is down, rising in slow start
	TargetShare         float64   `json:"target_share"`              // by the configured weights
	EffectiveShare      float64   `json:"effective_share"`           // by the effective weights
	ActualShare         float64   `json:"actual_share"`              // of all first dispatches since the start
	ActualShareNow      float64   `json:"actual_share_since_change"` // of all first dispatches since the configuration last changed
	PickedPackets       uint64    `json:"picked_packets"`            // that the exact split, or the key, assigned to it
	DispatchedPackets   uint64    `json:"dispatched_packets"`        // staged for it, nothing having failed; one that spills from it counts again where it goes
	DeliveredPackets    uint64    `json:"delivered_packets"`
	InFlightPackets     uint64    `json:"in_flight_packets"`
	RedispatchedPackets uint64    `json:"redispatched_packets"` // taken back from it and given to another
	Links               uint64    `json:"links"`                // that carry data, one per event loop
	LinkFailures        uint64    `json:"link_failures"`        // links that were lost and dials that failed
	LastError           string    `json:"last_error"`           // of those; empty: none yet
	AckLatency          Quantiles `json:"ack_latency_ms"`

	// Latency is what AckLatency was made of, for /metrics.
	Latency dispatch.Latency `json:"-"`
}

// Quantiles of a latency, in milliseconds, at most 25 % above the true ones.
// Immutable.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// Target is what is known of an analyzer besides its counters. Immutable.
type Target struct {
	Index         int // that the counters know it by
	Name, Address string
	State         string // one of package health's
	Since         time.Time
	Reason        string // of the state
	Transitions   int
	LinkFailures  uint64
	Weight        float64 // as configured
	// EffectiveWeight is what it is picked by now.
	EffectiveWeight float64
	LastError       string
	// DispatchedBefore is how many first dispatches it had when the
	// configuration last changed.
	DispatchedBefore uint64
}

// NewSnapshot puts the sum of all loops' counters and the targets together.
// Shares are among the targets: what others had that are there no more is in the
// totals only.
func NewSnapshot(uptime time.Duration, sum *dispatch.Counters, targets []Target, letters DeadLetters) Snapshot {
	s := Snapshot{
		UptimeSeconds:       uptime.Seconds(),
		ReceivedPackets:     sum.Received,
		ReceivedMessages:    sum.ReceivedMessages,
		ReceivedBytes:       sum.ReceivedBytes,
		DeliveredPackets:    sum.Delivered,
		RejectedPackets:     make(map[string]uint64, protocol.NackDraining),
		RedispatchedPackets: sum.Redispatched,
		SpilledPackets:      sum.Spilled,
		DeadLetteredPackets: sum.DeadLettered,
		AbandonedPackets:    sum.Abandoned,
		QueuedPackets:       sum.Queued,
		InFlightPackets:     sum.InFlight,
		UnaccountedPackets:  sum.Unaccounted(),
		Sessions:            sum.Sessions,
		HungUpSessions:      sum.HungUp,
		LateAnswers:         sum.LateAnswers,
		FalseAcks:           sum.FalseAcks,
		DeadLetters:         letters,
		Analyzers:           make([]Analyzer, len(targets)),
	}
	for code := protocol.NackBusy; code <= protocol.NackDraining; code++ {
		s.RejectedPackets[code.String()] = sum.Rejected[code]
	}
	var all whole
	for i := range targets {
		t := &targets[i]
		n := analyzerCounters(sum, t.Index)
		all.weight += t.Weight
		all.effective += t.EffectiveWeight
		all.dispatched += n.Dispatched
		all.since += sinceChange(t, n)
	}
	for i := range targets {
		s.Analyzers[i] = newAnalyzer(&targets[i], analyzerCounters(sum, targets[i].Index), &all)
	}
	return s
}

// analyzerCounters allows for targets that no loop has counted anything of yet.
func analyzerCounters(sum *dispatch.Counters, i int) *dispatch.AnalyzerCounters {
	if i < len(sum.Analyzers) {
		return &sum.Analyzers[i]
	}
	return &dispatch.AnalyzerCounters{}
}

// whole is what the shares are parts of.
type whole struct {
	weight, effective float64
	dispatched, since uint64
}

// sinceChange counts dispatches; those of a moment ago may not be in n yet.
func sinceChange(t *Target, n *dispatch.AnalyzerCounters) uint64 {
	return n.Dispatched - min(t.DispatchedBefore, n.Dispatched)
}

func newAnalyzer(t *Target, n *dispatch.AnalyzerCounters, all *whole) Analyzer {
	return Analyzer{
		Name:                t.Name,
		Address:             t.Address,
		State:               t.State,
		Since:               t.Since,
		Reason:              t.Reason,
		Transitions:         t.Transitions,
		Weight:              t.Weight,
		EffectiveWeight:     t.EffectiveWeight,
		TargetShare:         share(t.Weight, all.weight),
		EffectiveShare:      share(t.EffectiveWeight, all.effective),
		ActualShare:         share(float64(n.Dispatched), float64(all.dispatched)),
		ActualShareNow:      share(float64(sinceChange(t, n)), float64(all.since)),
		PickedPackets:       n.Picked,
		DispatchedPackets:   n.Dispatched,
		DeliveredPackets:    n.Delivered,
		InFlightPackets:     n.InFlight,
		RedispatchedPackets: n.Redispatched,
		Links:               n.Links,
		LinkFailures:        t.LinkFailures,
		LastError:           t.LastError,
		Latency:             n.Latency,
		AckLatency: Quantiles{
			P50: milliseconds(n.Latency.Quantile(0.50)),
			P99: milliseconds(n.Latency.Quantile(0.99)),
		},
	}
}

func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
