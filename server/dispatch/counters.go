package dispatch

import "sluice/protocol"

// Counters is what a core counts, in frames unless the name says otherwise.
// For each core, at the end of every turn,
//
//	Received = Delivered + ΣRejected + DeadLettered + Abandoned + Queued + InFlight
type Counters struct {
	Received, ReceivedMessages, ReceivedBytes uint64
	Delivered                                 uint64
	Rejected                                  [8]uint64 // by protocol.NackCode
	Redispatched                              uint64    // handed over again after a failed hand-over
	Spilled                                   uint64    // given to another analyzer than the picked one, nothing having failed
	DeadLettered                              uint64
	Abandoned                                 uint64 // admitted, sender gone, nobody took it
	Queued, InFlight                          uint64
	Sessions                                  uint64 // open connections of agents; counted by their wires
	HungUp                                    uint64 // connections closed with a GOAWAY for a fault; counted by their wires
	LateAnswers                               uint64 // answers of analyzers to frames already answered
	FalseAcks                                 uint64 // answers to frames that were never written
	Analyzers                                 []AnalyzerCounters
}

// AnalyzerCounters counts what one analyzer was given and did.
type AnalyzerCounters struct {
	Picked       uint64 // first dispatches that the exact sequence assigned
	Dispatched   uint64 // first dispatches that it was given
	Delivered    uint64
	InFlight     uint64
	Redispatched uint64 // taken back from it unacknowledged and dispatched again
	Links        uint64 // that carry data
	Latency      Latency
}

// Snapshot writes the counters of this moment into dst, reusing its slice.
func (c *Core) Snapshot(dst *Counters) {
	analyzers := append(dst.Analyzers[:0], c.count.Analyzers...)
	*dst = c.count
	dst.Analyzers = analyzers
	dst.Queued = uint64(c.queue.Len() + c.delayed.Len())
	for i, l := range c.links {
		dst.Queued += uint64(l.waiting.Len())
		dst.InFlight += uint64(l.flight.Live())
		analyzers[i].InFlight = uint64(l.flight.Live())
		if l.state == linkReady {
			analyzers[i].Links = 1
		}
	}
}

// Unaccounted is what the ledger cannot explain: 0, or there is a bug.
func (n *Counters) Unaccounted() int64 {
	sum := n.Delivered + n.DeadLettered + n.Abandoned + n.Queued + n.InFlight
	for _, r := range n.Rejected {
		sum += r
	}
	return int64(n.Received - sum)
}

func (n *Counters) reject(code protocol.NackCode) { n.Rejected[int(code)&7]++ }
