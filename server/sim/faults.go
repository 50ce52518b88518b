package sim

import "time"

// faultKind is a way in which the world goes wrong.
type faultKind int

// The kinds. A kind that never fires over 200 seeds is a fault of the
// simulator, and fails its test.
const (
	netHole       faultKind = iota // one direction between two hosts swallows everything
	netCut                         // both directions
	netReset                       // a connection breaks
	netResets                      // all connections of a process break
	netSlow                        // latency and jitter rise
	netNarrow                      // little bandwidth
	netSliced                      // bytes arrive in crumbs
	sinkCrash                      // kill -9, and a new start
	sinkPower                      // the host loses power: nobody is told
	sinkStop                       // SIGSTOP
	sinkPause                      // the same, for a moment
	sinkSlow                       // handles slowly, still answers PINGs
	sinkWedge                      // answers PINGs, handles nothing
	sinkBusy                       // NACK busy
	sinkUnable                     // NACK unavailable
	sinkDrain                      // GOAWAY, exit, new start
	sinkSaysDrain                  // NACK draining, without GOAWAY
	sinkUnauth                     // NACK unauthorized
	sinkFlap                       // crashes and starts, again and again
	sinkFreeze                     // gives no credit
	sinkFinal                      // refuses valid packets for ever
	sinkGarbage                    // speaks nonsense
	sinkFalseAck                   // acknowledges what was never sent
	sinkLie                        // acknowledges what it has not handled
	sinkLate                       // answers twice
	sinkShrinks                    // comes back accepting too little
	distCrash                      // kill -9
	distPower
	distStop
	distPause
	distDrain  // SIGTERM, exit, new start
	distReload // another configuration: weights, analyzers that leave and return
	diskFull   // the dead-letter folder takes nothing
	agentCrash
	agentStop // does not read
	agentPower
	agentInvalid
	agentOverrun
	agentBadLength
	agentWrong
	agentLeaves
	faultKinds
)

func (k faultKind) String() string {
	return [...]string{"net-hole", "net-cut", "net-reset", "net-resets", "net-slow", "net-narrow", "net-sliced",
		"sink-crash", "sink-power", "sink-stop", "sink-pause", "sink-slow", "sink-wedge", "sink-busy", "sink-unable",
		"sink-drain", "sink-says-drain", "sink-unauth", "sink-flap", "sink-freeze", "sink-final", "sink-garbage", "sink-false-ack", "sink-lie",
		"sink-late", "sink-shrinks", "dist-crash", "dist-power", "dist-stop", "dist-pause", "dist-drain", "dist-reload", "disk-full",
		"agent-crash", "agent-stop", "agent-power", "agent-invalid", "agent-overrun", "agent-bad-length", "agent-wrong",
		"agent-leaves"}[k]
}

// faults strike at random. Owned by the world.
type faults struct {
	w       *World
	kinds   []faultKind
	fired   [faultKinds]int
	over    bool
	healing time.Duration
}

func (f *faults) start() {
	for i, on := range f.w.knobs.kinds {
		if on {
			f.kinds = append(f.kinds, faultKind(i))
		}
	}
	f.next()
}

func (f *faults) next() {
	if len(f.kinds) == 0 {
		return
	}
	w := f.w
	w.after(w.upTo(2*w.knobs.every), func() {
		if f.over {
			return
		}
		f.fire(f.kinds[w.intN(len(f.kinds))])
		f.next()
	})
}

// last draws how long a fault lasts: most are short, some outlast the limits.
func (f *faults) last() time.Duration {
	return oneOf(f.w.rng, f.w.upTo(100*time.Millisecond), f.w.upTo(time.Second), f.w.upTo(4*time.Second), f.w.upTo(12*time.Second))
}

// later runs do unless all is healed by then.
func (f *faults) later(d time.Duration, do func()) {
	f.w.after(d, func() {
		if !f.over {
			do()
		}
	})
}

func (f *faults) fire(kind faultKind) {
	happened := false
	switch {
	case kind <= netSliced:
		happened = f.network(kind)
	case kind <= sinkShrinks:
		happened = f.sink(kind, f.w.analyzers[f.w.intN(len(f.w.analyzers))])
	case kind <= diskFull:
		happened = f.distributor(kind, f.w.distributors[f.w.intN(len(f.w.distributors))])
	default:
		happened = f.agent(kind, f.anAgent(kind))
	}
	if happened {
		f.fired[kind]++
	}
}
