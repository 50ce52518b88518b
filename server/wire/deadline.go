package wire

import (
	"container/heap"
	"fmt"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// deadlines orders the wires by when each must be looked at next. One structure
// for all kinds of deadlines: a wire is in it once, with the earliest of its own,
// and a look that comes too early because bytes have arrived since only sets the
// next. So a turn stores a time and no more; there is no timer per connection, let
// alone per packet. Owned by one loop.
type deadlines []*Agent

// Len, Less, Swap, Push and Pop are for container/heap.
func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].lookAt < d[j].lookAt }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}
func (d *deadlines) Push(x any) {
	a := x.(*Agent)
	a.place = len(*d)
	*d = append(*d, a)
}
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	a := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	a.place = noPlace
	return a
}

// noPlace is the place of a wire that is in no heap.
const noPlace = -1

// lookBy makes sure that the wire is looked at by a time.
func (w *Agents) lookBy(a *Agent, at time.Duration) {
	switch {
	case a.gone || a.closing:
	case a.place == noPlace:
		a.lookAt = at
		heap.Push(&w.deadlines, a)
	case at < a.lookAt:
		a.lookAt = at
		heap.Fix(&w.deadlines, a.place)
	}
}

func (w *Agents) forgetDeadline(a *Agent) {
	if a.place != noPlace {
		heap.Remove(&w.deadlines, a.place)
	}
}

// Tick looks at the wires whose time has come. absent is for how long nobody was
// there to notice anything, which is given back to them; see dispatch.Core.Tick.
func (w *Agents) Tick(absent time.Duration) {
	if absent > 0 {
		w.creditAbsence(absent)
		return
	}
	for now := w.core.Now(); len(w.deadlines) > 0 && w.deadlines[0].lookAt <= now; {
		a := w.deadlines[0]
		heap.Pop(&w.deadlines)
		a.look(now)
	}
}

// creditAbsence gives every wire the time back.
func (w *Agents) creditAbsence(absent time.Duration) {
	now := w.core.Now()
	for _, a := range w.deadlines { // the order stays: all move alike, and a look comes early at worst
		a.heardAt = min(a.heardAt+absent, now)
		for _, at := range []*time.Duration{&a.partialAt, &a.unreadAt, &a.askedAt} {
			if *at != 0 {
				*at = min(*at+absent, now)
			}
		}
	}
}

// look hangs up on a connection that is past a deadline, asks one that is silent,
// and sets the next look.
func (a *Agent) look(now time.Duration) {
	w, cfg := a.home, a.home.cfg
	next := now + time.Hour
	if a.partialAt != 0 {
		if now-a.partialAt >= cfg.PartialFrame {
			// A limit on progress, not on the whole: a slow uplink is not late.
			if a.brought < int(dispatch.FloorRate*cfg.PartialFrame/time.Second) {
				a.hangUp(protocol.GoawayIdle, fmt.Sprintf("a frame brought less than %d bytes a second for %v", dispatch.FloorRate, cfg.PartialFrame))
				return
			}
			a.partialAt, a.brought = now, 0
		}
		next = min(next, a.partialAt+cfg.PartialFrame)
	}
	if a.unreadAt != 0 {
		if now-a.unreadAt >= cfg.WriteStall {
			a.hangUp(protocol.GoawayOverload, fmt.Sprintf("answers were not read for %v", cfg.WriteStall))
			return
		}
		next = min(next, a.unreadAt+cfg.WriteStall)
	}
	limit := a.idleLimit()
	switch quiet := now - a.heardAt; {
	case limit == 0:
	case a.source.Unsettled() > 0: // it waits for us
		next = min(next, now+limit)
	case quiet < limit:
		next = min(next, a.heardAt+limit)
	case a.hello && a.askedAt < a.heardAt+limit:
		a.askedAt = now
		a.answers = protocol.AppendPing(a.answers, uint64(now))
		a.touch()
		next = min(next, now+cfg.IdleAnswer)
	case a.hello && now-a.askedAt < cfg.IdleAnswer:
		next = min(next, a.askedAt+cfg.IdleAnswer)
	default:
		a.hangUp(protocol.GoawayIdle, fmt.Sprintf("silent for %v", quiet.Round(time.Second)))
		return
	}
	w.lookBy(a, next)
}

// idleLimit is how long a connection may be silent with nothing in flight; 0:
// any time. Only a sender that said HELLO answers PINGs. Who never says anything
// must not hold a place that others want.
func (a *Agent) idleLimit() time.Duration {
	switch {
	case a.hello:
		return a.home.cfg.Idle
	case !a.spoke:
		return a.home.cfg.FirstFrame
	}
	return a.home.cfg.IdlePlain
}
