package stats

// Status is the overall state of a distributor.
type Status string

// The states that GET /health tells: all analyzers are up; some are; none is,
// or the distributor is draining.
const (
	Healthy   Status = "healthy"
	Degraded  Status = "degraded"
	Unhealthy Status = "unhealthy"
)

// Health is the answer to GET /health. Immutable.
type Health struct {
	Status    Status           `json:"status"`
	Draining  bool             `json:"draining"`
	Queue     Queue            `json:"queue"`
	Analyzers []AnalyzerHealth `json:"analyzers"`
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
	LastError string `json:"last_error,omitempty"`
}

// StateUp is the state in which an analyzer takes packets.
const StateUp = "up"

// NewHealth judges: an analyzer of weight 0 is meant to take nothing, so it
// does not count, neither as missing nor as enough.
func NewHealth(draining bool, queued, limit uint64, targets []Target) Health {
	h := Health{
		Draining:  draining,
		Queue:     Queue{Packets: queued, Limit: limit, Utilisation: share(float64(queued), float64(limit))},
		Analyzers: make([]AnalyzerHealth, len(targets)),
	}
	wanted, up := 0, 0
	for i := range targets {
		t := &targets[i]
		h.Analyzers[i] = AnalyzerHealth{Name: t.Name, State: t.State, LastError: t.LastError}
		if t.Weight > 0 {
			wanted++
			if t.State == StateUp {
				up++
			}
		}
	}
	switch {
	case draining || up == 0:
		h.Status = Unhealthy
	case up < wanted:
		h.Status = Degraded
	default:
		h.Status = Healthy
	}
	return h
}
