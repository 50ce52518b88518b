package deadletter

import (
	"cmp"
	"container/heap"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"sluice/internal/seglog"
	"sluice/protocol"
)

// parcel is one letter in the window; its bytes stay in the file. Owned by its
// delivery.
type parcel struct {
	late           // what is kept of it if it fails
	size    int    // of its frame
	suspect bool   // it is counted in suspects
	number  uint64 // of the offer, counted from 1

	delivered, failed uint64 // counters of the delivery when it was offered
}

// late is a letter that was not delivered when it was offered. Owned by its
// delivery.
type late struct {
	id     seglog.ID
	tries  int // that count against it; also its mark
	offers int // that failed, for the back-off
	at     time.Time

	alone    bool   // few were in flight when it was offered, and progress is known
	progress uint64 // of the target then
	open     bool   // it failed, and that is not judged yet
	reason   string // of the last failure
}

// event is what happens to a parcel, told by other goroutines. Immutable.
type event struct {
	slot   int
	kept   bool // it is safe among the refused ones
	lost   bool // it could not be moved
	result Result
}

// delivery is the letters on their way: a window over the log, in any order,
// and those that failed, by when to try them again. A parcel has at most one
// event under way, so a channel with space for a window of events never blocks
// who tells them. Owned by who holds Store.replaying.
type delivery struct {
	store *Store
	read  *seglog.Reader

	window [windowFrames]parcel
	free   []int // slots
	bytes  int   // of the frames in the window
	events chan event
	heard  []event // taken from events

	later    lateHeap
	known    map[seglog.ID]struct{} // in the window, or later
	suspects int                    // in the window, with tries against them
	dropped  bool                   // some that failed are neither: read again from the beginning
	rewound  time.Time              // when that was done last
	atEnd    bool                   // nothing new can be read now

	offers, delivered, failed uint64
	newest                    uint64 // number of the newest offer that was delivered
	settled                   []seglog.ID
	warned                    bool // that settling failed
	block                     []byte
}

func newDelivery(s *Store) *delivery {
	d := &delivery{store: s, read: s.letters.NewReader(), events: make(chan event, windowFrames), known: map[seglog.ID]struct{}{}}
	for i := range windowFrames {
		d.free = append(d.free, windowFrames-1-i)
	}
	return d
}

// idle says whether nothing is in flight and nothing waits that is known.
func (d *delivery) idle() bool {
	return len(d.free) == windowFrames && len(d.later) == 0 && d.atEnd
}

// drain takes all events that are there, and settles what is done before
// anything else is offered: that bounds what a restart repeats.
func (d *delivery) drain(r *replay) {
	for more := true; more; {
		select {
		case e := <-d.events:
			d.heard = append(d.heard, e)
		default:
			more = false
		}
	}
	for _, e := range d.heard {
		d.happened(e, r)
	}
	d.heard = d.heard[:0]
	if len(d.settled) == 0 {
		return
	}
	slices.SortFunc(d.settled, func(a, b seglog.ID) int {
		return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Batch, b.Batch), cmp.Compare(a.Index, b.Index))
	})
	err := d.read.Settle(d.settled)
	if err != nil && !d.warned {
		d.store.log.Warn("delivered dead letters cannot be settled; a restart would deliver them again", "error", err)
	}
	d.warned = err != nil
	d.settled = d.settled[:0]
}

// happened takes one event.
func (d *delivery) happened(e event, r *replay) {
	p := &d.window[e.slot]
	switch {
	case e.kept:
		d.settle(e.slot)
	case e.lost: // the store is closing: it stays a letter
		d.leave(e.slot)
	case e.result.Delivered:
		d.delivered++
		d.newest = max(d.newest, p.number)
		d.store.replayed.Add(1)
		if r != nil {
			r.refusals = 0
		}
		d.settle(e.slot)
	case e.result.Final:
		d.move(e.slot, cmp.Or(e.result.Reason, "refused by an analyzer"))
	default:
		d.fail(e.slot, e.result.Reason, r)
	}
}

// few letters in flight are too few to be compared with each other. Then a
// failure counts when the letter is to be tried again, if the target has
// delivered proof many packets since it was offered.
const (
	few   = 16
	proof = 8
)

// fail puts a letter off. Whether that counts against it is judged by what
// became of the others meanwhile.
func (d *delivery) fail(slot int, reason string, r *replay) {
	p := &d.window[slot]
	d.failed++
	itself := r != nil && r.target.Well() && d.failed-p.failed <= 1+(d.delivered-p.delivered)/8 && d.newest > p.number
	p.open = !itself && p.alone
	p.offers++
	p.reason = reason
	if itself {
		p.tries++
		_ = d.read.Mark(p.id, uint8(p.tries)) // without, a restart gives it more tries
		if p.tries >= MaxTries {
			d.tell(p.id, reason)
			d.move(slot, spent(p.late))
			return
		}
	} else if r != nil {
		r.pause()
	}
	p.at = time.Now().Add(jitter(d.store.rhythm.letterRetryMin, d.store.rhythm.letterRetryMax, p.offers-1))
	d.putOff(slot)
}

// tell logs which letter has no more tries.
func (d *delivery) tell(id seglog.ID, reason string) {
	b, err := d.read.Get(id)
	if err != nil {
		return
	}
	var s protocol.Scanned
	if _, _, frame, ok := parseLetter(b.Data); ok && protocol.Scan(frame[protocol.HeaderSize:], &s) == nil {
		d.store.log.Warn("a dead letter failed again and again while others were delivered; it is kept as refused",
			"packet_id", string(s.PacketID), "agent_id", string(s.AgentID), "tries", MaxTries, "reason", reason)
	}
}

// putOff moves a letter from the window to those that are tried later.
func (d *delivery) putOff(slot int) {
	l := d.window[slot].late
	d.leave(slot)
	if len(d.later) == lateLetters {
		d.dropped = true
		return
	}
	heap.Push(&d.later, l)
	d.known[l.id] = struct{}{}
}

// settle ends a letter.
func (d *delivery) settle(slot int) {
	d.settled = append(d.settled, d.window[slot].id)
	d.leave(slot)
}

// leave frees a slot.
func (d *delivery) leave(slot int) {
	p := &d.window[slot]
	delete(d.known, p.id)
	d.bytes -= p.size
	d.trust(p)
	d.free = append(d.free, slot)
}

// trust takes a letter off the suspects.
func (d *delivery) trust(p *parcel) {
	if p.suspect {
		p.suspect = false
		d.suspects--
	}
}

// fill offers what may be offered now, and returns when to look again.
func (d *delivery) fill(r *replay) time.Duration {
	rhythm := d.store.rhythm
	for n := 0; len(d.free) > 0 && (d.bytes < windowBytes || len(d.free) == windowFrames); n++ {
		if n == windowFrames {
			return 0 // time to settle, and to look whether to stop
		}
		if wait := time.Until(r.resumeAt); wait > 0 {
			return min(wait, rhythm.poll)
		}
		if !r.target.Well() {
			return rhythm.poll
		}
		b, l, found := d.next()
		if !found {
			break
		}
		if !d.take(r, b, l) {
			return rhythm.offerRetryMin
		}
		select {
		case e := <-d.events: // one that is answered at once
			d.heard = append(d.heard, e)
			d.drain(r)
		default:
		}
	}
	if len(d.later) > 0 {
		return max(0, min(rhythm.poll, time.Until(d.later[0].at)))
	}
	return rhythm.poll
}

// next returns a letter to offer: one that failed and whose time has come, or
// the next of the log. Of those with tries against them one is offered at a
// time, so that they cannot take the window.
func (d *delivery) next() (b seglog.Block, l late, found bool) {
	now := time.Now()
	for len(d.later) > 0 && !d.later[0].at.After(now) && (d.suspects == 0 || d.later[0].tries == 0) {
		l = heap.Pop(&d.later).(late)
		b, err := d.read.Get(l.id)
		if err != nil { // found again from the beginning, if it can be read then
			delete(d.known, l.id)
			d.dropped = true
			continue
		}
		return b, l, true
	}
	for {
		b, found = d.read.Next()
		if d.atEnd = !found; !found {
			break
		}
		if _, known := d.known[b.ID]; !known {
			return b, late{id: b.ID, tries: int(b.Mark)}, true
		}
	}
	d.rewind()
	return b, l, false
}

// rewind reads from the beginning again when there is something in the log
// that is neither in the window nor among those that are tried later: more
// failed than are remembered, or a file could not be read.
func (d *delivery) rewind() {
	if time.Since(d.rewound) < d.store.rhythm.offerRetryMax {
		return
	}
	if d.dropped || d.store.letters.Status().Blocks > len(d.known) {
		d.dropped, d.rewound = false, time.Now()
		d.read.Rewind()
	}
}

// take puts a letter into the window and offers it; false: the target takes
// nothing now.
func (d *delivery) take(r *replay, b seglog.Block, l late) bool {
	slot := d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	k, _, frame, ok := parseLetter(b.Data)
	if l.open && r.progress()-l.progress >= proof {
		l.tries++
		_ = d.read.Mark(l.id, uint8(l.tries)) // without, a restart gives it more tries
		if l.tries >= MaxTries {
			d.tell(l.id, l.reason)
		}
	}
	if l.open, l.alone = false, r.counts != nil && windowFrames-len(d.free) <= few; l.alone {
		l.progress = r.progress()
	}
	d.offers++
	d.window[slot] = parcel{late: l, size: len(frame), number: d.offers, delivered: d.delivered, failed: d.failed}
	d.known[l.id] = struct{}{}
	d.bytes += len(frame)
	if l.tries > 0 {
		d.window[slot].suspect = true
		d.suspects++
	}
	reason := ""
	switch {
	case !ok:
		reason = "not a letter"
	case l.tries >= MaxTries:
		reason = spent(l)
	case k == waiting:
		reason = r.fault(frame)
	}
	if reason != "" || k == refused {
		d.move(slot, reason)
		return true
	}
	var called atomic.Bool
	err := r.target.Offer(frame, func(res Result) {
		if called.CompareAndSwap(false, true) {
			d.events <- event{slot: slot, result: res}
		}
	})
	if err != nil && called.CompareAndSwap(false, true) {
		r.pause()
		d.window[slot].at = r.resumeAt
		d.putOff(slot)
		return false
	}
	return true
}

// move copies a letter to the refused ones. It is settled once it is safe
// there.
func (d *delivery) move(slot int, reason string) {
	p := &d.window[slot]
	d.trust(p) // it is not offered any more
	b, err := d.read.Get(p.id)
	if err != nil {
		d.dropped = true
		d.leave(slot)
		return
	}
	_, was, frame, ok := parseLetter(b.Data)
	if !ok {
		frame = b.Data
	}
	if len(was) > 0 {
		reason = string(was)
	}
	d.block = appendLetter(d.block[:0], refused, reason, frame)
	d.store.refuse(d.block, func(err error) { d.events <- event{slot: slot, kept: err == nil, lost: err != nil} })
}

// spent is why a letter without tries left is refused.
func spent(l late) string {
	return "not delivered in " + strconv.Itoa(l.tries) + " tries; last: " + cmp.Or(l.reason, "unavailable")
}

// lateHeap is a heap of letters by when to try them. Owned by a delivery.
type lateHeap []late

func (h lateHeap) Len() int           { return len(h) }
func (h lateHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h lateHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements [heap.Interface].
func (h *lateHeap) Push(x any) { *h = append(*h, x.(late)) }

// Pop implements [heap.Interface].
func (h *lateHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
