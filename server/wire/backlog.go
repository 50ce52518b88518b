package wire

import "sluice/protocol"

// Work is charged to who caused it. A frame that has to be inflated may cost ten
// thousand times what it weighs; when a source has had as much inflated as one turn
// allows, the rest of what was read of it is kept, and it gets its next turn after
// whatever else is ready, behind the others that wait for theirs.

// keepBacklog keeps a copy of bytes for a later turn. They are bounded by the
// sender's credit, if it heeds it, and charged.
func (a *Agent) keepBacklog(data []byte) {
	w := a.home
	most := 2*w.cfg.SessionWindowBytes + w.cfg.MaxFrame
	if len(a.backlog)+len(data) > most || !a.source.TryCharge(int64(len(data))) {
		a.hangUp(protocol.GoawayOverload, "sends more than is worked off")
		return
	}
	if len(a.backlog) == 0 {
		w.behind = append(w.behind, a)
	}
	a.backlog = append(a.backlog, data...)
}

// putBack keeps what a turn of the backlog has left of it, where it lies: to copy
// all of it each turn would cost more than the frames do.
func (a *Agent) putBack(rest []byte) {
	a.source.Charge(int64(len(rest))) // it was charged until this turn
	a.home.behind = append(a.home.behind, a)
	a.backlog = rest
}

// dropBacklog forgets the backlog: nothing in it was admitted.
func (a *Agent) dropBacklog() {
	if len(a.backlog) > 0 {
		a.source.Discharge(int64(len(a.backlog)))
		a.backlog = nil
	}
}

// Behind says that some agent waits for its next turn.
func (w *Agents) Behind() bool { return len(w.behind) > 0 }

// Resume gives the agent that has waited longest its next turn.
func (w *Agents) Resume() {
	for len(w.behind) > 0 {
		a := w.behind[0]
		n := copy(w.behind, w.behind[1:])
		w.behind[n] = nil
		w.behind = w.behind[:n]
		if len(a.backlog) == 0 {
			continue // dropped meanwhile
		}
		data := a.backlog
		a.source.Discharge(int64(len(data)))
		a.backlog = nil
		if rest := a.work(data); len(rest) > 0 {
			a.putBack(rest)
		}
		return
	}
}
