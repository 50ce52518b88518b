// Package intake is how frames that other goroutines make reach a loop: requests
// of HTTP, dead letters that are delivered again, and every input that speaks
// another protocol.
//
// A Source is one party of it. Submit takes a batch of encoded frames for one turn
// of the loop and answers at once: taken, wait, or refused. What becomes of taken
// frames is reported in runs.
//
// Where a frame may go to any analyzer, its place in the queue is reserved in
// Submit, and it is the loop's from then on: many batches come in with one turn.
// Where it has to go to one analyzer (strict, affinity), only the loop knows
// whether that has room, and its word is awaited. So what lies here is bounded by
// the queue and the byte budget, or by its users, of whom each has one batch here
// and waits.
package intake

import (
	"sync"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// While several batches come with each turn, the next turn waits for more of
// them, for that long or until it is worth it: a turn is a wake-up, a write to each
// analyzer, their ACKs and a wake-up for each of them. At 25,000 requests a second,
// turns of one or two frames were a third of what /ingest cost, and turns of 25 an
// eighth more than turns of 75. Nobody waits for it: the first batch after a quiet
// time, one whose sender wants to know the outcome, and one that takes a place of a
// queue that fills up do not linger.
const (
	lingerFor    = 5 * time.Millisecond
	lingerFrames = 256
)

// keepBytes is the largest buffer that a batch keeps for the next one.
const keepBytes = 64 << 10

// Host is the loop around an intake. Safe for concurrent use.
type Host interface {
	// WakeForMail has the loop call Intake.Dispatch in a turn, soon. An error means
	// that it never will.
	WakeForMail() error
	// After runs f after a time, on any goroutine.
	After(d time.Duration, f func())
}

// Intake is the mailbox of one loop: a list with one wake-up for all that is in
// it. Submit, Close and Abandon are safe for concurrent use; the rest is the
// loop's.
type Intake struct {
	core     *dispatch.Core
	shared   *dispatch.Shared
	host     Host
	promises bool // frames may go to any analyzer

	mu     sync.Mutex
	in     []*batch
	spare  []*batch
	left   []*Source // closed by their users
	state  mailState
	busy   bool // the last turn had several batches: the next may wait for more
	closed bool

	greedy    []*Source // to be judged again; the loop's
	pool      sync.Pool
	lingerEnd func() // endLinger, made once
}

// mailState is what the loop knows of its mail, least first.
type mailState uint8

const (
	asleep  mailState = iota
	lingers           // batches wait for more of them
	waking            // the loop will read them next
)

// batch is frames on their way into the loop. Owned by whoever has it: its
// sender, the list, or the loop.
type batch struct {
	frames          []byte // its own copy, headers included
	count, messages int
	hearer          Hearer
	from            *Source
	promised        bool // its places are reserved, and its sender has gone on
	code            protocol.NackCode
	decided         chan struct{} // one slot: the loop never blocks on it
}

// New makes the intake of a core's loop.
func New(core *dispatch.Core, host Host) *Intake {
	in := &Intake{core: core, shared: core.Shared(), host: host, promises: core.Config().Promises()}
	in.lingerEnd = in.endLinger
	in.pool.New = func() any { return &batch{decided: make(chan struct{}, 1)} }
	return in
}

// post gives a batch to the loop. Not 0: it was not taken.
func (in *Intake) post(b *batch) protocol.NackCode {
	in.mu.Lock()
	if in.closed || b.from.closed {
		in.mu.Unlock()
		return protocol.NackDraining
	}
	in.in = append(in.in, b)
	next := lingers
	if !in.busy || !in.promises || b.hearer != nil || len(in.in) >= lingerFrames || in.shared.Filling() {
		next = waking
	}
	changed := next > in.state
	in.state = max(in.state, next)
	in.mu.Unlock()
	switch {
	case !changed:
	case next == waking:
		in.wake()
	default:
		in.host.After(lingerFor, in.lingerEnd)
	}
	return 0
}

// endLinger wakes the loop for batches that have waited for more of them.
func (in *Intake) endLinger() {
	in.mu.Lock()
	over := in.state == lingers
	if over {
		in.state = waking
	}
	in.mu.Unlock()
	if over {
		in.wake()
	}
}

func (in *Intake) wake() {
	if in.host.WakeForMail() != nil {
		in.Abandon()
	}
}

// Dispatch gives the core what lies here. For the loop, within a turn.
func (in *Intake) Dispatch() {
	in.mu.Lock()
	list := in.in
	in.in, in.spare = in.spare[:0], nil
	in.state = asleep
	in.busy = len(list) > 1
	left := in.takeLeft()
	in.mu.Unlock()
	for i, b := range list {
		list[i] = nil
		b.from.dispatch(b)
		in.watch(b.from)
		if b.promised {
			in.recycle(b)
		} else {
			b.decided <- struct{}{}
		}
	}
	in.mu.Lock()
	in.spare = list[:0]
	in.mu.Unlock()
	letGo(left)
}

// takeLeft takes the sources that were closed. What each of them submitted lies
// here or was dispatched: it has to be dispatched before the source is let go of.
// For who holds mu.
func (in *Intake) takeLeft() []*Source {
	left := in.left
	in.left = nil
	return left
}

func letGo(left []*Source) {
	for _, s := range left {
		if s.source != nil {
			s.source.Close()
		}
	}
}

func (in *Intake) recycle(b *batch) {
	if cap(b.frames) > keepBytes {
		b.frames = nil
	}
	b.hearer, b.from = nil, nil
	in.pool.Put(b)
}

// watch has a source judged.
func (in *Intake) watch(s *Source) {
	if !s.watched {
		s.watched = true
		in.greedy = append(in.greedy, s)
	}
}

// Tick lets go of sources whose users have closed them. For the loop, between
// turns.
func (in *Intake) Tick() {
	var left []*Source
	in.mu.Lock()
	if len(in.in) == 0 { // else with what lies here, which under load is always something
		left = in.takeLeft()
	}
	in.mu.Unlock()
	letGo(left)
	in.Judge()
}

// Judge renews whether sources hold more than their fair share; a source is
// judged until it does not, and again when it submits something. For the loop,
// after each turn and tick.
func (in *Intake) Judge() {
	kept := in.greedy[:0]
	for _, s := range in.greedy {
		greedy := s.source.Greedy()
		if greedy != s.greedy.Load() {
			s.greedy.Store(greedy)
		}
		if s.watched = greedy; greedy {
			kept = append(kept, s)
		}
	}
	clear(in.greedy[len(kept):])
	in.greedy = kept
}

// Close takes nothing more; what was taken before is still dispatched.
func (in *Intake) Close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
}

// Abandon ends what lies here when the loop does not come to it any more: what
// was promised is kept where somebody keeps it, the rest refused.
func (in *Intake) Abandon() {
	in.mu.Lock()
	in.closed = true
	list := in.in
	in.in = nil
	in.mu.Unlock()
	for _, b := range list {
		if !b.promised {
			b.code = protocol.NackDraining
			b.decided <- struct{}{}
			continue
		}
		in.shared.Unreserve(b.count, len(b.frames))
		b.from.abandon(b)
	}
}

// Waiting returns how many frames lie here.
func (in *Intake) Waiting() (frames int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, b := range in.in {
		frames += b.count
	}
	return frames
}
