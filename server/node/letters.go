package node

import (
	"errors"

	"sluice/server/deadletter"
	"sluice/server/intake"
	"sluice/server/stats"
)

// postman is the distributor as its own dead-letter store sees it: who
// delivers what lies there. Safe for concurrent use.
type postman struct{ n *Node }

// Well says whether some analyzer takes packets.
func (p postman) Well() bool {
	return !p.n.draining.Load() && !p.n.shared.Table.Load().Empty()
}

// errNotNow says that a loop did not take a frame.
var errNotNow = errors.New("not taken now")

// Offer lends a frame, header included, to a loop. It passed the scan when it
// was accepted; the loops of another configuration may route it otherwise.
func (p postman) Offer(frame []byte, done func(deadletter.Result)) error {
	to := p.n.replays[p.n.nextLoop()]
	if a := to.Submit(frame, 1, 0, replayed(done)); a.Verdict != intake.Taken {
		return errNotNow
	}
	return nil
}

// replayed hears what became of one dead letter.
type replayed func(deadletter.Result)

// Settled is called by a loop.
func (r replayed) Settled(run intake.Run) {
	r(deadletter.Result{Delivered: run.Delivered, Final: run.Final(), Reason: run.Reason})
}

// Delivered is how many packets analyzers took in all: what a letter that fails
// is compared with.
func (p postman) Delivered() uint64 { return p.n.counters().Delivered }

// deadLetters is what /stats tells of them.
func (n *Node) deadLetters() stats.DeadLetters {
	st := n.letters.Status()
	d := stats.DeadLetters{
		Packets: uint64(st.Packets), RefusedPackets: uint64(st.RefusedPackets), ReplayedPackets: st.Replayed, DamagedFiles: uint64(st.DamagedFiles),
		Bytes: st.Bytes, ReservedBytes: st.ReservedBytes, MaxBytes: st.MaxBytes,
		Writable: st.Writable, Full: st.Full, Error: st.Error,
	}
	if !st.OldestAt.IsZero() {
		d.OldestAt = &st.OldestAt
	}
	return d
}

var (
	_ intake.Keeper       = (*deadletter.Store)(nil)
	_ deadletter.Progress = postman{}
)
