package tail

import (
	"sync"
	"time"

	"sluice/protocol"
)

// span is a packet's range of a file, from where the span before it ends.
type span struct {
	end     int64
	sum     uint64 // of the file's bytes up to end
	noticed time.Time
	done    bool
}

// ledger holds the ranges of one file that were shipped and are not yet part of
// the delivered beginning. The offset moves only over what is contiguous.
// Safe for concurrent use.
type ledger struct {
	mu      sync.Mutex
	spans   []span // ascending; from acked on without a gap
	acked   int64
	sum     uint64
	last    int64 // where the last span ends
	open    int   // spans without an answer
	refusal protocol.NackCode
	refused int // the largest body that was refused
	lost    bool
}

// reset begins anew at an offset.
func (l *ledger) reset(at int64, sum uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spans, l.acked, l.sum, l.last, l.open = l.spans[:0], at, sum, at, 0
	l.refusal, l.refused, l.lost = 0, 0, false
}

func (l *ledger) add(end int64, sum uint64, noticed time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spans = append(l.spans, span{end: end, sum: sum, noticed: noticed})
	l.last = end
	l.open++
}

// delivered marks the span that ends there and says whether the offset moved.
func (l *ledger) delivered(end int64) (acked int64, sum uint64, moved bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	for i := range l.spans {
		if l.spans[i].end == end {
			l.spans[i].done = true
			break
		}
	}
	n := 0
	for n < len(l.spans) && l.spans[n].done {
		l.acked, l.sum = l.spans[n].end, l.spans[n].sum
		n++
	}
	l.spans = append(l.spans[:0], l.spans[n:]...)
	return l.acked, l.sum, n > 0
}

// undelivered notes an end without delivery: a refusal, or none (code 0) because
// the agent is ending. The span stays, so that the offset stays before it.
func (l *ledger) undelivered(code protocol.NackCode, body int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if code == 0 {
		l.lost = true
		return
	}
	if l.refusal == 0 || body > l.refused {
		l.refusal, l.refused = code, body
	}
}

// progress is a ledger's state at one moment.
type progress struct {
	acked     int64
	sum       uint64
	unsettled int64 // bytes shipped beyond acked
	open      int
	oldest    time.Time // when the first of them was noticed; zero: there is none
	refusal   protocol.NackCode
	refused   int
}

func (l *ledger) progress() progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := progress{acked: l.acked, sum: l.sum, unsettled: l.last - l.acked, open: l.open, refusal: l.refusal, refused: l.refused}
	if len(l.spans) > 0 {
		p.oldest = l.spans[0].noticed
	}
	return p
}
