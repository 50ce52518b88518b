package wire

import "sluice/protocol"

// Work is charged to who caused it. A frame that has to be inflated may cost ten
// thousand times what it weighs; when a source has had as much inflated as one turn
// allows, the rest of what was read of it is kept, and it gets its next turn after
// whatever else is ready, behind the others that wait for theirs.

// keepBacklog keeps bytes for a later turn. They are bounded by the sender's
// credit, if it heeds it, and charged.
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
		a.backlog = nil // what is left of it comes back, behind the others
		a.work(data)
		return
	}
}
