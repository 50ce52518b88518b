package stats

// Status is the overall state of a distributor.
type Status string

// The states that GET /health tells. Healthy: all analyzers take packets and
// 202s are given. Degraded: only some analyzers do, or dead letters cannot be
// kept and no 202 is given, or the last reload was refused. Unhealthy: no
// analyzer takes packets, or the distributor is draining.
const (
	Healthy   Status = "healthy"
	Degraded  Status = "degraded"
	Unhealthy Status = "unhealthy"
)

// Health is the answer to GET /health. Immutable.
type Health struct {
	Status   Status   `json:"status"`
	Draining bool     `json:"draining"`
	Reasons  []string `json:"reasons,omitempty"` // why it is not healthy
	// ConfigLastError is why the last reload was refused; empty if it was not.
	ConfigLastError string           `json:"config_last_error,omitempty"`
	Queue           Queue            `json:"queue"`
	Analyzers       []AnalyzerHealth `json:"analyzers"`
}

// Queue is how full the waiting queue is. Immutable.
type Queue struct {
	Packets     uint64  `json:"packets"`
	Limit       uint64  `json:"limit"`
	Utilisation float64 `json:"utilisation"` // 0 to 1
}

// AnalyzerHealth is one analyzer's part of Health. Immutable.
type AnalyzerHealth struct {
	Name      string `json:"name"`
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"`
	LastError string `json:"last_error,omitempty"`
}

// StateUp is the state in which an analyzer is healthy.
const StateUp = "up"

// NewHealth judges: an analyzer of weight 0 is meant to take nothing, so it
// does not count, neither as missing nor as enough. A refused reload is no reason
// to take the distributor out of service, since the configuration before it
// still holds; but what runs is not what its operator wrote.
func NewHealth(draining bool, queued, limit uint64, targets []Target, letters DeadLetters, reloadError string) Health {
	h := Health{
		Status:          Healthy,
		Draining:        draining,
		ConfigLastError: reloadError,
		Queue:           Queue{Packets: queued, Limit: limit, Utilisation: share(float64(queued), float64(limit))},
		Analyzers:       make([]AnalyzerHealth, len(targets)),
	}
	worse := func(status Status, reason string) {
		h.Reasons = append(h.Reasons, reason)
		if status == Unhealthy || h.Status == Healthy {
			h.Status = status
		}
	}
	taking := false
	for i := range targets {
		t := &targets[i]
		h.Analyzers[i] = AnalyzerHealth{Name: t.Name, State: t.State, Reason: t.Reason, LastError: t.LastError}
		taking = taking || t.EffectiveWeight > 0
		if t.Weight > 0 && t.State != StateUp {
			worse(Degraded, t.Name+" is "+t.State)
		}
	}
	switch {
	case !letters.Writable:
		worse(Degraded, "dead letters cannot be written, so /ingest is refused: "+letters.Error)
	case letters.Full:
		worse(Degraded, "the dead-letter folder is full, so /ingest is refused")
	}
	if reloadError != "" {
		worse(Degraded, "the last reload was refused, and the configuration before it stays in force: "+reloadError)
	}
	if !taking {
		worse(Unhealthy, "no analyzer takes packets")
	}
	if draining {
		worse(Unhealthy, "the distributor is stopping")
	}
	return h
}
