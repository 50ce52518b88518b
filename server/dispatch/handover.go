package dispatch

import "time"

// handOver says how much a link may have written and unacknowledged: a multiple
// of what it acknowledged of late, so that what cannot move any more stays in
// proportion to what the analyzer takes. Owned by one loop.
type handOver struct {
	from      time.Duration // beginning of the span that is being measured
	now, last int           // frames acknowledged in this span, and in the one before
	shortest  time.Duration // round trip from a write to its ACK on this connection; 0: none yet

	onTrial   bool // was given up, or lost with frames in flight: begins on probation
	probation int  // frames; 0 when the link has earned its window
	proven    int  // acknowledged since probation last doubled
}

// open begins a connection.
func (h *handOver) open(cfg *Config) {
	h.shortest, h.probation, h.proven = 0, 0, 0
	if h.onTrial {
		h.probation = cfg.ProbationFrames
	}
}

// acknowledged counts n frames.
func (h *handOver) acknowledged(now time.Duration, n int, cfg *Config) {
	span := cfg.HandOverSpan
	if past := now - h.from; past >= span {
		h.last, h.now, h.from = h.now, 0, now
		if past >= 2*span {
			h.last = int(int64(h.last) * int64(span) / int64(past))
		}
	}
	h.now += n
	h.prove(n, cfg.LinkWindowFrames)
}

// prove widens the window of a link on probation: it doubles for each window
// acknowledged. PONGs alone never widen it, because a stopped process still
// completes connects.
func (h *handOver) prove(n, full int) {
	if h.probation == 0 {
		return
	}
	if h.proven += n; h.proven < h.probation {
		return
	}
	h.proven = 0
	if h.probation *= 2; h.probation >= full {
		h.probation, h.onTrial = 0, false
	}
}

// roundTrip takes the time between a write to a link and the ACK of its last
// frame.
func (h *handOver) roundTrip(d time.Duration) {
	if d = max(d, 1); h.shortest == 0 || d < h.shortest {
		h.shortest = d
	}
}

// limit is how many frames may be written and unacknowledged.
func (h *handOver) limit(cfg *Config) int {
	limit := max(cfg.HandOverMin, cfg.HandOverFactor*max(h.now, h.last))
	if h.probation > 0 {
		limit = min(limit, h.probation)
	}
	return min(limit, cfg.LinkWindowFrames)
}

// bandwidthDelay is the product of what the analyzer acknowledges and its
// shortest round trip, in frames: what keeps it busy.
func (l *Link) bandwidthDelay() float64 {
	h, span := &l.handOver, l.core.cfg.HandOverSpan
	if l.state != linkReady || h.shortest == 0 || l.core.now-h.from >= 2*span {
		return 0
	}
	return float64(max(h.now, h.last)) / float64(span) * float64(h.shortest)
}
