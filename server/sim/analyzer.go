package sim

import (
	"fmt"
	"time"

	"sluice/protocol"
)

// analyzer is the receiving end. What it has handled has a receipt, which
// outlives it; what lies in its memory does not. Owned by the world.
type analyzer struct {
	process
	index int
	conns []*sink

	perFrame time.Duration // to handle one
	ackDelay time.Duration
	maxFrame int // that it says it accepts

	// Until then it …
	wedged   time.Duration // answers PINGs and handles nothing
	refusing time.Duration // refuses some with code
	code     protocol.NackCode
	frozen   time.Duration // gives no more credit
	strict   time.Duration // finds valid packets invalid, some of them
	lying    time.Duration // acknowledges what it has only received

	draining bool
	handled  int
}

func newAnalyzer(w *World, index int) *analyzer {
	a := &analyzer{index: index}
	a.init(w, fmt.Sprintf("analyzer %d", index))
	a.calm()
	return a
}

// calm ends all its faults.
func (a *analyzer) calm() {
	k := &a.w.knobs
	a.perFrame, a.ackDelay, a.maxFrame = k.perFrame[a.index], k.ackDelay, k.core.MaxFrame
	a.wedged, a.refusing, a.frozen, a.strict, a.lying = 0, 0, 0, 0, 0
}

func (a *analyzer) start() {
	a.live()
	a.draining = false
	a.conns = a.conns[:0]
	a.accept = a.accepted
}

func (a *analyzer) accepted(e *end) {
	c := &sink{a: a, e: e, place: len(a.conns), grantFrames: protocol.FirstCreditFrames, grantBytes: protocol.FirstCreditBytes}
	e.user = c
	a.conns = append(a.conns, c)
}

func (a *analyzer) crash(power bool) {
	if a.up {
		a.w.tracef("%s crashes", a.name)
		a.die(power)
	}
}

// drain is SIGTERM: GOAWAY, what was received is handled, then the end.
func (a *analyzer) drain() {
	if !a.up || a.draining {
		return
	}
	a.w.tracef("%s drains", a.name)
	a.draining, a.accept = true, nil
	for _, c := range a.conns {
		c.say(protocol.AppendGoaway(c.out[:0], protocol.GoawayDrain, "shutting down"))
	}
	until := a.w.now + 5*time.Second
	var wait func()
	wait = func() {
		for i := len(a.conns) - 1; i >= 0; i-- {
			c := a.conns[i]
			if c.inbox.n == 0 && !c.working && a.w.now-c.heardAt > 250*time.Millisecond || a.w.now > until {
				c.finish()
			}
		}
		if len(a.conns) == 0 {
			a.w.tracef("%s exits", a.name)
			a.die(false)
			return
		}
		a.after(50*time.Millisecond, wait)
	}
	a.after(50*time.Millisecond, wait)
}
