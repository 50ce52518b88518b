package sim

import (
	"time"

	"sluice/protocol"
)

func (f *faults) network(kind faultKind) bool {
	w := f.w
	d := w.distributors[w.intN(len(w.distributors))]
	other := w.agents[w.intN(len(w.agents))].host
	if w.chance(0.6) {
		other = w.analyzers[w.intN(len(w.analyzers))].host
	}
	there, back := w.path(d.host, other), w.path(other, d.host)
	if w.chance(0.5) {
		there, back = back, there
	}
	last := f.last()
	w.tracef("fault %v: host %d to %d for %v", kind, there.from.index, there.to.index, last)
	switch kind {
	case netHole:
		there.hole = max(there.hole, w.now+last)
	case netCut:
		there.hole = max(there.hole, w.now+last)
		back.hole = max(back.hole, w.now+last)
	case netReset:
		if len(d.ends) == 0 {
			return false
		}
		d.ends[w.intN(len(d.ends))].breakDown()
	case netResets:
		victims := d.ends
		if w.chance(0.5) {
			victims = w.analyzers[w.intN(len(w.analyzers))].ends
		}
		for _, e := range append([]*end(nil), victims...) {
			e.breakDown()
		}
		return len(victims) > 0
	case netSlow:
		there.latency, there.jitter = w.upTo(400*time.Millisecond), w.upTo(400*time.Millisecond)
		f.later(last, func() { w.knobs.layPath(w, there) })
	case netNarrow:
		there.rate = 2000 + w.intN(100_000)
		f.later(last, func() { w.knobs.layPath(w, there) })
	case netSliced:
		there.slice = 1 + w.intN(40)
		f.later(last, func() { w.knobs.layPath(w, there) })
	}
	return true
}

func (f *faults) sink(kind faultKind, a *analyzer) bool {
	w, last := f.w, f.last()
	if !a.up {
		return false
	}
	w.tracef("fault %v: %s for %v", kind, a.name, last)
	until := w.now + last
	switch kind {
	case sinkCrash, sinkPower:
		f.restart(a, kind == sinkPower, last)
	case sinkStop:
		a.pause()
		f.later(last, a.resume)
	case sinkPause:
		a.pause()
		f.later(w.upTo(80*time.Millisecond), a.resume)
	case sinkSlow:
		a.perFrame = w.upTo(30 * time.Millisecond)
		f.later(last, func() { a.perFrame = w.knobs.perFrame[a.index] })
	case sinkWedge:
		a.wedged = until
	case sinkBusy:
		a.refusing, a.code = until, protocol.NackBusy
	case sinkUnable:
		a.refusing, a.code = until, protocol.NackUnavailable
	case sinkUnauth:
		a.refusing, a.code = until, protocol.NackUnauthorized
	case sinkSaysDrain:
		a.refusing, a.code = w.now+w.upTo(100*time.Millisecond), protocol.NackDraining
	case sinkDrain:
		if a.stopped {
			return false
		}
		a.drain()
		f.later(5*time.Second+last, a.revive)
	case sinkFlap:
		for i := range 1 + w.intN(12) {
			f.later(time.Duration(i)*500*time.Millisecond, func() { f.restart(a, false, w.between(100*time.Millisecond, 300*time.Millisecond)) })
		}
	case sinkFreeze:
		a.frozen = until
	case sinkFinal:
		a.strict = until
	case sinkLie:
		a.lying = until
	case sinkShrinks:
		f.restart(a, false, w.upTo(100*time.Millisecond))
		a.maxFrame = w.knobs.core.MaxFrame - 1
		f.later(last, func() { a.maxFrame = w.knobs.core.MaxFrame; f.restart(a, false, 0) })
	default:
		return f.speech(kind, a)
	}
	return true
}

// speech makes an analyzer say what it should not.
func (f *faults) speech(kind faultKind, a *analyzer) bool {
	w := f.w
	if len(a.conns) == 0 || a.stopped {
		return false
	}
	c := a.conns[w.intN(len(a.conns))]
	for _, other := range a.conns { // one that has work, if there is one
		if other.inbox.n > c.inbox.n && !other.mute {
			c = other
		}
	}
	if !c.greeted || c.mute {
		return false
	}
	switch kind {
	case sinkGarbage:
		c.say(oneOf(w.rng, []byte{0, 0, 0, 0}, []byte{0xff, 0xff, 0xff, 0xff, 1}, protocol.AppendFrame(nil, []byte{0x80}),
			protocol.AppendFrame(nil, []byte{0x91, 0xc1}), protocol.AppendHello(nil, protocol.Hello{Version: 1}),
			protocol.AppendNack(nil, c.number+1<<20, protocol.NackBusy, 0, "", 3),
			protocol.AppendGoaway(nil, protocol.GoawayOverload, "")))
		c.mute = true
	case sinkFalseAck:
		n := c.number + 1<<20
		if far, ok := c.e.mate.user.(*conn); ok && w.chance(0.8) {
			// Just above what was written, where frames may be staged.
			far.deceived = true
			n = far.first + uint64(far.written.n) + w.rng.Uint64N(uint64(max(1, far.link().InFlight()-far.written.n)))
		}
		c.say(protocol.AppendAck(nil, n, n+1<<20, 1<<40))
		c.mute = true
	case sinkLate:
		if c.told == 0 {
			return false
		}
		out := protocol.AppendAck(nil, c.told-min(c.told, uint64(w.intN(5))), c.grantFrames, c.grantBytes)
		n := 1 + w.rng.Uint64N(c.told)
		c.say(protocol.AppendNack(out, n, protocol.NackBusy, 0, "late", 1+w.rng.Uint64N(c.told-n+1)))
	}
	return true
}

// restart kills an analyzer and starts it again after a while.
func (f *faults) restart(a *analyzer, power bool, after time.Duration) {
	a.crash(power)
	f.later(after, a.revive)
}

// revive starts an analyzer that is not up.
func (a *analyzer) revive() {
	if !a.up {
		a.w.tracef("%s starts", a.name)
		a.power()
		a.start()
	}
}

func (f *faults) distributor(kind faultKind, d *distributor) bool {
	w, last := f.w, f.last()
	if !d.up {
		return false
	}
	w.tracef("fault %v: %s for %v", kind, d.name, last)
	switch kind {
	case distCrash, distPower:
		d.crash(kind == distPower)
		f.later(last, d.revive)
	case distStop:
		d.pause()
		f.later(last, d.resume)
	case distPause:
		d.pause()
		f.later(w.upTo(80*time.Millisecond), d.resume)
	case distReload:
		if d.stopped || d.draining {
			return false
		}
		d.reload(w.drawMembers())
	case distDrain:
		if d.stopped || d.draining {
			return false
		}
		if w.chance(0.6) { // a stop during an outage
			for _, a := range w.analyzers {
				a.refusing, a.code = w.now+w.knobs.grace, protocol.NackUnavailable
			}
		}
		d.drain()
		var again func()
		again = func() {
			if d.up && d.draining {
				f.later(time.Second, again)
				return
			}
			d.revive()
		}
		f.later(last, again)
	case diskFull:
		d.letters.writable = false
		f.later(last, func() { d.letters.writable = true })
	}
	return true
}

func (d *distributor) revive() {
	if !d.up {
		d.power()
		d.start()
	}
}

// anAgent draws an agent, a rude one where manners matter and there is one.
func (f *faults) anAgent(kind faultKind) *agent {
	agents := f.w.agents
	at := f.w.intN(len(agents))
	for i := range agents {
		if a := agents[(at+i)%len(agents)]; kind >= agentInvalid && !a.polite && a.conn != nil {
			return a
		}
	}
	return agents[at]
}

func (f *faults) agent(kind faultKind, a *agent) bool {
	w, last := f.w, f.last()
	if !a.up {
		return false
	}
	if kind >= agentInvalid && (a.polite || a.stopped) {
		return false
	}
	w.tracef("fault %v: %s for %v", kind, a.name, last)
	switch kind {
	case agentCrash, agentPower:
		a.crash(kind == agentPower)
		f.later(last, a.revive)
	case agentStop:
		a.pause()
		f.later(last, a.resume)
	case agentInvalid:
		return a.sendInvalid()
	case agentOverrun:
		return a.overrun()
	case agentBadLength:
		return a.badLength()
	case agentWrong:
		return a.wrongControl()
	case agentLeaves:
		return a.leave()
	}
	return true
}

func (a *agent) revive() {
	if !a.up {
		a.power()
		a.start()
	}
}
