package sim

import "sluice/server/health"

// firstMembers are the analyzers as a distributor starts with them.
func (w *World) firstMembers() []health.Member {
	members := make([]health.Member, len(w.analyzers))
	for i, a := range w.analyzers {
		members[i] = health.Member{Name: a.name, Weight: w.knobs.weights[i]}
	}
	return members
}

// drawMembers draws another configuration: other weights, and some have left. Not
// all: a configuration without any weight is refused before it gets here.
func (w *World) drawMembers() []health.Member {
	members := w.firstMembers()
	stays := w.intN(len(members))
	for i := range members {
		members[i].Weight = float64(w.intN(10))
		members[i].Left = w.chance(0.3)
	}
	members[stays].Weight, members[stays].Left = float64(1+w.intN(9)), false
	return members
}

// reload is node.Reload for the analyzers, in the same order.
func (d *distributor) reload(members []health.Member) {
	d.w.tracef("%s reloads %v", d.name, members)
	d.health.Set(members, d.w.knobs.slowStart)
	for i, is := range members {
		for l := range d.loops {
			ln := d.line(l, i)
			was := ln.unwanted
			if ln.unwanted = is.Left; is.Left && !was {
				d.loops[l].retire(i)
			}
			if !is.Left && ln.resting {
				ln.pause = firstPause
				ln.dial()
			}
		}
	}
	d.health.Set(members, d.w.knobs.slowStart)
}
