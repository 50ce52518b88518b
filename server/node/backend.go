package node

import (
	"context"
	"time"

	"sluice/internal/output"
	"sluice/server/dispatch"
	"sluice/server/pump"
	"sluice/server/stats"
)

// snapshotWait bounds how long /stats waits for a busy loop; its last
// published counters serve then.
const snapshotWait = 100 * time.Millisecond

// counters sums the loops, each as of a moment of its own within this call.
func (n *Node) counters() dispatch.Counters {
	ctx, cancel := context.WithTimeout(context.Background(), snapshotWait)
	defer cancel()
	var sum dispatch.Counters
	for i, l := range n.loops {
		// Asking the loop costs it something only when somebody looks, and the
		// answer is of now. A loop that is stopped or stuck left its last one.
		_ = l.Do(ctx, func(p *pump.Pump) { n.cells[i].Publish(p) })
		n.cells[i].AddTo(&sum)
	}
	return sum
}

// targets are the analyzers that are there, each with its index.
func (n *Node) targets() []stats.Target {
	analyzers, status := *n.roster.Load(), n.health.Status()
	var targets []stats.Target
	for i, a := range analyzers {
		if a.left || i >= len(status) {
			continue
		}
		st := status[i]
		targets = append(targets, stats.Target{Index: i, Name: a.Name, Address: a.Addr, State: string(st.State), Since: st.Since, Reason: st.Reason,
			Transitions: st.Transitions, LinkFailures: st.Failures, Weight: a.Weight, EffectiveWeight: st.EffectiveWeight, LastError: st.LastError,
			DispatchedBefore: a.before})
	}
	return targets
}

// Stats is what GET /stats shows.
func (n *Node) Stats() stats.Snapshot {
	sum := n.counters()
	s := stats.NewSnapshot(time.Since(n.epoch), &sum, n.targets(), n.deadLetters())
	s.DroppedLogLines = output.DroppedLines(n.log)
	s.Loops, s.Draining = len(n.loops), n.draining.Load()
	cfg, told := n.cfg.Load(), n.reloads.Load()
	s.MaxQueuedPackets = uint64(cfg.MaxQueue)
	s.ByteBudget = stats.ByteBudget{UsedBytes: n.shared.Budget.Used(), MaxBytes: cfg.ByteBudget}
	s.Connections = n.connections()
	s.ConfigGeneration, s.ConfigLoadedAt, s.ConfigLastError = told.generation, told.loadedAt, told.lastError
	return s
}

func (n *Node) connections() stats.Connections {
	c := n.agents.Counters()
	return stats.Connections{Open: c.Open, Max: n.cfg.Load().MaxConnections, Accepted: c.Accepted,
		Refused: map[string]uint64{"limit": c.RefusedLimit, "per_ip": c.RefusedPerIP, "not_taken": c.NotTaken},
		AcceptErrors: map[string]uint64{"descriptors": c.AcceptErrors.Descriptors, "memory": c.AcceptErrors.Memory,
			"aborted": c.AcceptErrors.Aborted, "other": c.AcceptErrors.Other}}
}

// Health is what GET /health shows.
func (n *Node) Health() stats.Health {
	return stats.NewHealth(n.draining.Load(), uint64(n.shared.Queued()), uint64(n.cfg.Load().MaxQueue), n.targets(), n.deadLetters(), n.reloads.Load().lastError)
}

// Ready says whether packets can be delivered: some analyzer is up, and the
// distributor is not draining.
func (n *Node) Ready() bool {
	return !n.draining.Load() && n.Health().Status != stats.Unhealthy
}
