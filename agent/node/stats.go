package node

import (
	"time"

	"sluice/agent/stream"
	"sluice/agent/tail"
	"sluice/internal/output"
	"sluice/internal/statusweb"
)

// Stats is the body of GET /stats. Bytes of files and records are raw; sent
// bytes are those of frames.
type Stats struct {
	Agent         string  `json:"agent"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	Connected     bool    `json:"connected"`
	Connects      uint64  `json:"connects"`
	LastError     string  `json:"last_error,omitempty"`

	DeliveredPackets  uint64 `json:"delivered_packets"`
	DeliveredRecords  uint64 `json:"delivered_records"`
	DeliveredBytes    uint64 `json:"delivered_bytes"`
	RefusedPackets    uint64 `json:"refused_packets"`
	UnansweredPackets uint64 `json:"unanswered_packets"`
	UnsettledPackets  int    `json:"unsettled_packets"`
	Resends           uint64 `json:"resends"`
	Busy              uint64 `json:"busy"`
	SentBytes         uint64 `json:"sent_bytes"`
	EncodedRecords    uint64 `json:"encoded_records"`
	UnderstoodRecords uint64 `json:"understood_records"`
	DroppedLogLines   uint64 `json:"dropped_log_lines"` // of its own log: nobody took them

	tail.Losses
	Problems int64       `json:"problems"` // files that cannot be read, or are refused
	StateOK  bool        `json:"state_ok"`
	Files    []tail.Stat `json:"files"`
	Streams  stream.Stat `json:"streams"`
}

// Stats returns what was done so far.
func (n *Node) Stats() Stats {
	c := n.shipper.Counts()
	s := Stats{
		Agent: n.cfg.Agent, UptimeSeconds: time.Since(n.started).Seconds(),
		Connected: c.Client.Connected, Connects: c.Client.Connects,
		DeliveredPackets: c.Packets, DeliveredRecords: c.Records, DeliveredBytes: c.Bytes,
		RefusedPackets: c.Refused, UnansweredPackets: c.Unanswered, UnsettledPackets: c.Client.Unsettled,
		Resends: c.Client.Resends, Busy: c.Client.Busy, SentBytes: c.Client.SentBytes,
		EncodedRecords: c.Encoded, UnderstoodRecords: c.Understood, DroppedLogLines: output.DroppedLines(n.log),
		Losses: n.tailer.Losses(), Problems: n.tailer.Problems(), StateOK: !n.store.Err(),
		Files: n.tailer.Stats(), Streams: n.streams.Stat(),
	}
	if err := c.Client.LastError; err != nil {
		s.LastError = err.Error()
	}
	return s
}

// Progress is how far --once is: bytes of the files, and records delivered.
type Progress struct {
	Size, Acked int64
	Records     uint64
}

// Progress costs less than Stats.
func (n *Node) Progress() Progress {
	size, acked := n.tailer.Totals()
	return Progress{size, acked, n.shipper.Counts().Records}
}

// Health is the body of GET /health.
type Health = statusweb.Health

// Health says whether the agent does its work: it has a connection, can write
// its state, and reads all its files.
func (n *Node) Health() Health {
	c := n.shipper.Counts()
	switch {
	case !c.Client.Connected && c.Client.Unsettled > 0:
		reason := "no distributor"
		if c.Client.LastError != nil {
			reason += ": " + c.Client.LastError.Error()
		}
		return Health{Status: statusweb.Unhealthy, Reason: reason}
	case n.store.Err():
		return Health{Status: statusweb.Unhealthy, Reason: "the state cannot be written"}
	case n.tailer.Problems() > 0:
		return Health{Status: statusweb.Unhealthy, Reason: "a file cannot be read or is refused"}
	}
	return Health{Status: statusweb.Healthy}
}

func newWeb(n *Node) *statusweb.Server {
	return statusweb.New(statusweb.Source{Program: "agent", Stats: func() any { return n.Stats() }, Health: n.Health, Metrics: n.metrics, Log: n.log})
}
