package deadletter

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// state is where a frame in the window is. Immutable.
type state uint8

const (
	offered state = iota // at the target
	again                // to be offered again
	moving               // refused for ever; on its way to the refused file
	settled              // has its fate
)

// parcel is one frame in the window; its bytes stay in the file. Owned by its
// delivery.
type parcel struct {
	off   int64
	size  int
	state state
}

// event is what happens to a parcel, told by other goroutines. Immutable.
type event struct {
	number uint64
	kept   bool // it is safe in the refused file
	result Result
}

// delivery is a file on its way: a window of parcels over it, in the order of
// the file. They end in any order; the window's low end is the cursor. A parcel
// has at most one event under way, so a channel with room for a window of
// events never blocks who tells them. Owned by who holds Store.replaying.
type delivery struct {
	store *Store
	f     *file
	name  string
	src   source
	read  reader

	window      [windowFrames]parcel // parcel number n is at n % windowFrames
	first, next uint64               // numbers of the window
	bytes       int                  // of its frames
	flying      int                  // offered or moving
	repeat      int                  // to be offered again

	low    int64 // offset of the window's first frame
	pos    int64 // offset of the next to be read
	failed error // why no more is read
	events chan event

	finished bool // finish was called

	saved   int64 // offset of the last cursor
	savedAt time.Time
	saveErr error
}

func newDelivery(s *Store, f *file, src source) *delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &delivery{
		store: s, f: f, name: f.name, src: src, read: reader{src: src, end: f.end},
		low: f.start, pos: f.start, saved: f.start, savedAt: time.Now(),
		events: make(chan event, windowFrames),
	}
}

// run delivers until the file has its fate (true), or Replay ends (false).
func (d *delivery) run(r *replay) bool {
	poll := time.NewTimer(0)
	defer poll.Stop()
	for {
		d.settle(true, r)
		d.checkpoint(d.store.rhythm.cursor)
		if d.flying == 0 && (d.unreadable() || d.repeat == 0 && d.exhausted()) {
			d.finish()
			return true
		}
		if r.over() {
			return false
		}
		poll.Reset(d.fill(r))
		select {
		case e := <-d.events:
			d.happened(e, true, r)
		case <-poll.C:
		case <-r.done:
		case <-d.store.stopping:
		}
	}
}

// unreadable says whether the disk fails us, which it may do no more later.
func (d *delivery) unreadable() bool { return d.failed != nil && !isDamage(d.failed) }

// exhausted says whether nothing new can be read.
func (d *delivery) exhausted() bool { return d.failed != nil || d.pos >= d.read.end }

// fill offers what may be offered now, and returns when to look again.
func (d *delivery) fill(r *replay) time.Duration {
	rhythm := d.store.rhythm
	if d.unreadable() {
		return rhythm.cursor // only for what is in flight
	}
	if wait := time.Until(r.resumeAt); wait > 0 {
		return min(wait, rhythm.cursor)
	}
	if d.repeat == 0 && (d.exhausted() || !d.roomFor(0)) {
		return rhythm.cursor
	}
	if !r.target.Well() {
		return rhythm.poll
	}
	for n := d.first; n < d.next && d.repeat > 0; n++ {
		p := d.parcel(n)
		if p.state != again {
			continue
		}
		frame, err := d.read.frame(p.off)
		if err != nil { // it could be read before, so it is not the file that is wrong
			d.failed = fmt.Errorf("%w: %v", errUnreadable, err)
			return 0
		}
		d.repeat--
		if !d.offer(r, n, frame) {
			return rhythm.offerRetryMin
		}
	}
	for n := 0; !d.exhausted(); n++ {
		if n == windowFrames {
			return 0 // time to look at the cursor, and whether to stop
		}
		frame, err := d.read.frame(d.pos)
		if err != nil {
			d.failed = err
			return 0
		}
		if !d.roomFor(len(frame)) {
			break
		}
		number := d.next
		*d.parcel(number) = parcel{off: d.pos, size: len(frame)}
		d.next++
		d.pos += int64(len(frame))
		d.bytes += len(frame)
		if !r.deliverable(frame) {
			d.flying++
			d.move(number, frame)
		} else if !d.offer(r, number, frame) {
			return rhythm.offerRetryMin
		}
		select {
		case e := <-d.events: // make room as we go
			d.happened(e, true, r)
		default:
		}
	}
	if d.flying == 0 && d.exhausted() {
		return 0
	}
	return rhythm.cursor
}

// errUnreadable marks what is read again later although it looks like damage.
var errUnreadable = errors.New("cannot be read any more")

func (d *delivery) parcel(n uint64) *parcel { return &d.window[n%windowFrames] }

// roomFor says whether another frame may be taken into the window. One frame
// always may, whatever its size.
func (d *delivery) roomFor(size int) bool {
	n := d.next - d.first
	return n == 0 || n < windowFrames && d.bytes+size <= windowBytes
}

// offer gives a frame to the target; false if it does not take it now.
func (d *delivery) offer(r *replay, n uint64, frame []byte) bool {
	var called atomic.Bool
	events := d.events
	d.parcel(n).state = offered
	d.flying++
	err := r.target.Offer(frame, func(res Result) {
		if called.CompareAndSwap(false, true) {
			events <- event{number: n, result: res}
		}
	})
	if err != nil && called.CompareAndSwap(false, true) {
		d.flying--
		d.parcel(n).state = again
		d.repeat++
		r.refused()
		return false
	}
	return true
}

// move puts a frame that was refused for ever into the refused file. It is
// charged before the place of the old copy comes free.
func (d *delivery) move(n uint64, frame []byte) {
	events := d.events
	d.parcel(n).state = moving
	d.store.overdraw(int64(len(frame)))
	d.store.put(frame, true, func() { events <- event{number: n, kept: true} })
}

// settle takes all events that are there. r is nil after the end of Replay.
func (d *delivery) settle(mayMove bool, r *replay) {
	for {
		select {
		case e := <-d.events:
			d.happened(e, mayMove, r)
		default:
			return
		}
	}
}

// happened takes one event, and moves the window on.
func (d *delivery) happened(e event, mayMove bool, r *replay) {
	p := d.parcel(e.number)
	switch {
	case e.kept:
		p.state = settled
		d.flying--
	case e.result.Delivered:
		p.state = settled
		d.flying--
		d.store.replayed.Add(1)
		if r != nil {
			r.refusals = 0
		}
	case e.result.Final && mayMove:
		frame, err := d.read.frame(p.off)
		if err == nil {
			d.move(e.number, frame)
			break
		}
		d.failed = fmt.Errorf("%w: %v", errUnreadable, err)
		fallthrough
	default:
		p.state = again
		d.flying--
		d.repeat++
		if r != nil {
			r.refused()
		}
	}
	d.advance()
}

// advance takes what has its fate from the window's low end.
func (d *delivery) advance() {
	from := d.first
	for d.first < d.next && d.parcel(d.first).state == settled {
		p := d.parcel(d.first)
		d.low += int64(p.size)
		d.bytes -= p.size
		d.first++
	}
	if d.first == from {
		return
	}
	s := d.store
	s.mu.Lock()
	d.f.start = d.low
	d.f.left -= int(d.first - from)
	s.mu.Unlock()
}
