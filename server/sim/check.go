package sim

import (
	"strings"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
	"sluice/server/stage"
	"sluice/server/wire"
)

// check holds after every turn of a loop: the ledger is exact, and nothing is
// above its limit.
func (l *loop) check() {
	w, cfg, n, core := l.d.w, &l.d.w.knobs.core, &l.count, l.pump.Core()
	l.pump.Snapshot(n)
	if u := n.Unaccounted(); u != 0 {
		w.fail("%s loop %d: %d frames are unaccounted for", l.d.name, l.index, u)
	}
	if n.Received < n.Delivered || int64(n.Queued) < 0 || int64(n.InFlight) < 0 {
		w.fail("%s loop %d: impossible counters %+v", l.d.name, l.index, n)
	}
	if got := uint64(core.Unsettled()); got != n.Queued+n.InFlight {
		w.fail("%s loop %d: %d frames are unsettled, %d wait and %d are in flight", l.d.name, l.index, got, n.Queued, n.InFlight)
	}
	if n.Sessions != uint64(len(l.agents)) {
		w.fail("%s loop %d: %d agents are connected, and the wires count %d", l.d.name, l.index, len(l.agents), n.Sessions)
	}
	for i, link := range core.Links() {
		if link.InFlight() > cfg.LinkWindowFrames {
			w.fail("%s loop %d: the link to analyzer %d holds %d frames", l.d.name, l.index, i, link.InFlight())
		}
		if c := l.links[i]; c != nil && !l.d.buried && c.unanswered() > link.InFlight() {
			w.fail("%s loop %d: %d frames written to analyzer %d have no answer, and the link knows of %d", l.d.name, l.index, c.unanswered(), i, link.InFlight())
		}
	}
}

// checkSaid holds after every turn unless a flush is on its way: what there is to
// say is said, unless a connection was full since the last tick.
func (l *loop) checkSaid() {
	w := l.d.w
	for _, list := range [2][]*conn{l.agents, l.links} {
		for _, c := range list {
			if c == nil || c.piped == nil {
				continue
			}
			if l.putOff == 0 && !c.wasFull && c.piped.Owes() {
				w.fail("%s loop %d has something to say to %s, whose connection is free, and does not", l.d.name, l.index, c.e.mate.proc.name)
			}
			if c.closingAt == 0 && c.analyzer == noAnalyzer && c.piped.Agent().Closing() {
				c.closingAt = w.now
			}
		}
	}
}

// unanswered is how many frames of a link were written and have no answer; it is
// counted only for short lists, because it is asked after each turn.
func (c *conn) unanswered() (open int) {
	if c.written.n > 64 {
		return 0
	}
	for i := range c.written.n {
		if *c.written.at(i) != noPacket {
			open++
		}
	}
	return open
}

// sample looks at what is too dear for every turn.
func (w *World) sample() {
	cfg := &w.knobs.core
	for _, d := range w.distributors {
		if !d.up {
			continue
		}
		chunk := int64(max(stage.ChunkBytes, cfg.MaxFrame+protocol.HeaderSize))
		// Frames whose bytes were reserved may overdraw by a chunk when they are
		// copied, and small buffers of cut frames are taken unasked.
		over := int64(len(d.loops)) * (chunk + wire.Overdraft)
		if used := d.shared.Budget.Used(); used < 0 || used > cfg.ByteBudget+over {
			w.fail("%s uses %d bytes of a budget of %d (and %d overdraft)", d.name, used, cfg.ByteBudget, over)
		}
		queued := uint64(0)
		for _, l := range d.loops {
			queued += l.count.Queued + uint64(l.pump.Intake().Waiting())
			l.sampleSources()
			l.samplePatience()
		}
		got := d.shared.Queued()
		if uint64(got) != queued {
			w.fail("%s: %d frames are said to wait, and %d do", d.name, got, queued)
		}
		// Frames that come back from links are never refused a place.
		w.overfull = max(w.overfull, got-cfg.MaxQueueFrames)
	}
}

// late is how long after its limit a link may be given up: a tick of a loop
// that was idle, and the time that its thread was at work.
const late = 1500 * time.Millisecond

// samplePatience: a link with frames in flight is given up when it is silent,
// or makes no progress, for longer than the limits. A distributor that was
// stopped excuses its analyzers.
func (l *loop) samplePatience() {
	w, cfg := l.d.w, &l.d.w.knobs.core
	if l.d.stopped || l.d.busy > w.now {
		return
	}
	for i, c := range l.links {
		if c == nil || c.written.n == 0 {
			continue
		}
		if quiet := w.now - max(c.heardAt, l.d.ranAt); quiet > cfg.Silence+late {
			w.fail("%s loop %d bears with analyzer %d, which is silent for %v with frames in flight", l.d.name, l.index, i, quiet)
		}
		if waited := w.now - max(c.progressAt, l.d.ranAt); waited > cfg.AckTimeout+late {
			w.fail("%s loop %d bears with analyzer %d, which has made no progress for %v", l.d.name, l.index, i, waited)
		}
	}
}

// longestGap: a loop that stood still for longer excuses its analyzers.
const longestGap = dispatch.LongestGap

const tickEvery = dispatch.TickEvery

// wasSilent is told why a link was lost. Silence must have been the analyzer's,
// and not that of a distributor which was stopped.
func (c *conn) wasSilent(reason string) {
	w, cfg := c.l.d.w, &c.l.d.w.knobs.core
	if !strings.HasPrefix(reason, "silent for") || cfg.Silence <= longestGap {
		return
	}
	if quiet := w.now - c.heardAt - (c.l.d.halted - c.halted); quiet < cfg.Silence-2*tickEvery {
		w.fail("%s gives analyzer %d up as %s, after %v in which it could have been heard", c.l.d.name, c.analyzer, reason, quiet)
	}
}

// lingerFor is as in server/pump.
const lingerFor = time.Second

func (l *loop) sampleSources() {
	w, cfg := l.d.w, &l.d.w.knobs.core
	window := max(cfg.SessionWindowFrames, protocol.FirstCreditFrames)
	sum := l.lent.Unsettled()
	for _, src := range l.clients {
		if src != nil {
			sum += src.Unsettled()
		}
	}
	for _, c := range l.agents {
		if c.closingAt != 0 && l.d.busy <= w.now && w.now-max(c.closingAt, l.d.ranAt) > lingerFor+late && !l.d.stopped {
			w.fail("%s loop %d keeps the connection of %s for %v after its final frames", l.d.name, l.index, c.e.mate.proc.name, w.now-c.closingAt)
		}
		n := c.piped.Agent().Source().Unsettled()
		sum += n
		if n > window+1 {
			w.fail("%s: an agent has %d frames unsettled, with a window of %d", l.d.name, n, window)
		}
	}
	if held := l.pump.Core().Unsettled(); sum > held {
		w.fail("%s: sources wait for %d frames, the core holds %d", l.d.name, sum, held)
	}
}

// checkEmpty holds when all is over: nobody holds anything, and the memory is
// given back.
func (d *distributor) checkEmpty() {
	w := d.w
	var n dispatch.Counters
	spare := int64(0)
	for _, l := range d.loops {
		l.pump.Snapshot(&n)
		if n.Queued+n.InFlight != 0 {
			w.fail("%s loop %d holds %d frames that wait and %d in flight", d.name, l.index, n.Queued, n.InFlight)
		}
		// The queue keeps a chunk to append to.
		spare += int64(max(stage.ChunkBytes, w.knobs.core.MaxFrame+protocol.HeaderSize))
	}
	if used := d.shared.Budget.Used(); used > spare {
		w.fail("%s uses %d bytes although it holds nothing; %d can be explained", d.name, used, spare)
	}
	if d.letters.reserved != 0 {
		w.fail("%s: %d bytes among the dead letters are reserved for nobody", d.name, d.letters.reserved)
	}
	if d.letters.bytes < 0 {
		w.fail("%s: the dead letters take %d bytes", d.name, d.letters.bytes)
	}
}
