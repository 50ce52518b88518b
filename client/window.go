package client

import (
	"math"
	"time"

	"sluice/protocol"
)

const (
	// noWindow is the limit of a window that binds nothing.
	noWindow = math.MaxInt

	// minWindow, in frames, is as small as a window gets. With 16 five hundred
	// senders at a queue of 5,000 could not make themselves small enough to fit:
	// there were four refusals to five deliveries. With 4 there is one.
	minWindow = 4

	// windowStep, in frames, is what a window grows by when a window's worth
	// was acknowledged. The same for all, because that is what makes windows of
	// different size meet. Small, because a full receiver refuses the step of
	// every sender; a fast one gives a thousand steps a second.
	windowStep = 4

	// maxWindow, in frames, is the largest span that a receiver's credit may
	// have. A window that has grown to it is given up: it binds nothing more.
	maxWindow = protocol.MaxCreditSpan

	// quietSpan is how long nothing must have been refused until the window
	// doubles instead of taking steps. By then the receiver is not what it was:
	// an analyzer came back, or other senders left. Several cycles of a sender
	// that shares a full receiver with others fit into it.
	quietSpan = 5 * time.Second
)

// window is how many frames a client allows itself to have in flight, beside
// the receiver's credit. Credit says what one connection may send, so that a
// receiver can hold it; it says nothing of how many connections there are. When
// their sum is too much, the receiver answers "busy", and what it refused has
// crossed the network for nothing, and will again.
//
// The obvious way is to wait for retry_after and send the same window again.
// Under three times the load that a receiver can take, two of three frames are
// then refused for ever. The way taken is additive increase, multiplicative
// decrease (Chiu and Jain, "Analysis of the increase and decrease algorithms
// for congestion avoidance in computer networks", 1989): half after a refusal,
// a step more for each window's worth acknowledged. Of the linear rules it is
// the one that brings senders who know nothing of each other to equal shares
// of a full receiver, from wherever they start. What is refused in one round
// trip is one event, as in TCP (Jacobson 1988): frames that were sent before
// the last halving say nothing about the window since.
//
// A client begins without a window, because most never meet a full receiver;
// all it costs them is a comparison. Like the frame numbers that it is told, it
// is of one connection, but its size outlives the connection (see reconnected).
// It belongs to the client's mutex; time is an argument.
type window struct {
	limit    int       // frames; noWindow: the credit alone counts
	credited int       // frames acknowledged since the last step
	judged   uint64    // frames up to this number were sent before the last halving
	halved   time.Time // when that was
}

func newWindow() window { return window{limit: noWindow} }

// room is how many more frames may be sent while so many are in flight.
func (w *window) room(inFlight int) int { return max(0, w.limit-inFlight) }

// bounded says whether there is anything to grow, so that the caller need not
// read the clock when there is not.
func (w *window) bounded() bool { return w.limit != noWindow }

// refused is told the number of the highest frame that was answered busy or
// unavailable, the number of the last frame sent, and how many were in flight
// before the answer.
func (w *window) refused(n, sent uint64, inFlight int, now time.Time) {
	if n <= w.judged {
		return // of the round trip that the window was halved for
	}
	w.limit = max(minWindow, min(w.limit, inFlight)/2)
	w.judged, w.halved, w.credited = sent, now, 0
}

// acknowledged is told that delivered frames up to number n were acknowledged,
// and how many were in flight before. A sender that had less than half of its
// window in flight has not tried it, and learns nothing about a larger one.
func (w *window) acknowledged(n uint64, delivered, inFlight int, now time.Time) {
	if !w.bounded() || n <= w.judged || inFlight < w.limit/2 {
		return
	}
	if now.Sub(w.halved) >= quietSpan {
		w.limit += delivered
	} else if w.credited += delivered; w.credited >= w.limit {
		w.credited = 0
		w.limit += windowStep
	}
	if w.limit >= maxWindow {
		w.limit = noWindow
	}
}

// reconnected begins the count of frames again. The size stays: if it was the
// receiver that was lost, all of its senders come back at once, and one that
// remembers how little it could have does not pour a whole credit into it. A
// receiver that has room teaches that within a few of its short round trips.
func (w *window) reconnected() { w.judged, w.credited = 0, 0 }
