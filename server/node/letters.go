package node

import (
	"errors"

	"sluice/protocol"
	"sluice/server/deadletter"
	"sluice/server/loop"
	"sluice/server/stats"
)

// keeper is the dead-letter store as the loops see it. Safe for concurrent use.
type keeper struct{ *deadletter.Store }

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
	n := p.n
	l := n.loops[n.next.Add(1)%uint64(len(n.loops))]
	code := l.Lend(frame[protocol.HeaderSize:], 0, func(d loop.Delivery) {
		final := d.Code == protocol.NackInvalid || d.Code == protocol.NackTooLarge
		done(deadletter.Result{Delivered: d.Delivered, Final: final})
	})
	if code != 0 {
		return errNotNow
	}
	return nil
}

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

var _ loop.Keeper = keeper{}
