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
	refusal refusal
}

// refusal is a packet that the receiver will never take as it is; of several
// that with the largest body. The zero value is none.
type refusal struct {
	code                protocol.NackCode
	records, raw, bytes int // records, bytes of the file, and bytes of the body
}

// reset begins anew at an offset.
func (l *ledger) reset(at int64, sum uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spans, l.acked, l.sum, l.last, l.open = l.spans[:0], at, sum, at, 0
	l.refusal = refusal{}
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
	return l.advance()
}

// undelivered notes an end without delivery: a refusal, or none (code 0) because
// the agent is ending. The span stays, so that the offset stays before it.
func (l *ledger) undelivered(r refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if r.code != 0 && (l.refusal.code == 0 || r.bytes > l.refusal.bytes) {
		l.refusal = r
	}
}

// kept is a span that was delivered although one before it was not.
type kept struct {
	start int64
	span
}

// restart begins anew at the offset that was reached, after a refusal. It returns
// what was delivered beyond, which need not be sent again; whoever passes it on
// the way calls keep.
func (l *ledger) restart() (acked int64, sum uint64, beyond []kept) {
	l.mu.Lock()
	defer l.mu.Unlock()
	start := l.acked
	for _, s := range l.spans {
		if s.done {
			beyond = append(beyond, kept{start, s})
		}
		start = s.end
	}
	l.spans, l.last, l.open, l.refusal = l.spans[:0], l.acked, 0, refusal{}
	return l.acked, l.sum, beyond
}

// keep adds a span that was delivered before.
func (l *ledger) keep(s span) (acked int64, sum uint64, moved bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spans = append(l.spans, s)
	l.last = s.end
	return l.advance()
}

// advance moves the offset over what is delivered without a gap. With l.mu.
func (l *ledger) advance() (acked int64, sum uint64, moved bool) {
	n := 0
	for n < len(l.spans) && l.spans[n].done {
		l.acked, l.sum = l.spans[n].end, l.spans[n].sum
		n++
	}
	l.spans = append(l.spans[:0], l.spans[n:]...)
	return l.acked, l.sum, n > 0
}

// progress is a ledger's state at one moment.
type progress struct {
	acked     int64
	sum       uint64
	unsettled int64 // bytes shipped beyond acked
	open      int
	oldest    time.Time // when the first of them was noticed; zero: there is none
	refusal   refusal
}

func (l *ledger) progress() progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := progress{acked: l.acked, sum: l.sum, unsettled: l.last - l.acked, open: l.open, refusal: l.refusal}
	if len(l.spans) > 0 {
		p.oldest = l.spans[0].noticed
	}
	return p
}
