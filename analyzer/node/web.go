package node

import (
	"time"

	"sluice/analyzer/analysis"
	"sluice/analyzer/record"
	"sluice/internal/output"
	"sluice/internal/statusweb"
)

// Stats is the body of GET /stats.
type Stats struct {
	Name string `json:"name"`
	analysis.Snapshot
	UptimeSeconds float64 `json:"uptime_seconds"`
	Connections   int     `json:"connections"`

	// DroppedLogLines had nobody who took them.
	DroppedLogLines uint64 `json:"dropped_log_lines"`
}

// Stats returns what was counted so far, all of one moment.
func (n *Node) Stats() Stats {
	now := time.Now()
	return Stats{
		Name: n.cfg.Name, Snapshot: n.analysis.Snapshot(now),
		UptimeSeconds: now.Sub(n.started).Seconds(), Connections: n.receiver.Connections(),
		DroppedLogLines: output.DroppedLines(n.log),
	}
}

// Health is the body of GET /health.
type Health = statusweb.Health

// Health says whether packets are taken: not while stopping, nor after a write
// to the receipts or the output that failed, until one succeeds.
func (n *Node) Health() Health {
	h := Health{Status: statusweb.Healthy, Name: n.cfg.Name}
	if n.leaving.Load() {
		h.Reason = "stopping"
	}
	for what, f := range map[string]*record.File{"receipts": n.receipts, "output": n.output} {
		if f == nil {
			continue
		}
		if err := f.Err(); err != nil {
			h.Reason = what + ": " + err.Error()
		}
	}
	if h.Reason != "" {
		h.Status = statusweb.Unhealthy
	}
	return h
}

func newWeb(n *Node) *statusweb.Server {
	return statusweb.New(statusweb.Source{Program: "analyzer", Stats: func() any { return n.Stats() }, Health: n.Health, Metrics: n.metrics, Log: n.log})
}
