package loop

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// Delivery is the fate of a submitted frame that was admitted.
type Delivery struct {
	Delivered bool
	Kept      bool              // nobody took it, and the Keeper has it now
	Analyzer  int               // index, when delivered
	Code      protocol.NackCode // why not
}

// Keeper keeps the frames that the distributor answers for and that nobody
// takes. Each of them had its place reserved before it was submitted. Called
// by the loop's goroutine; must not block.
type Keeper interface {
	// Release gives the place of a frame of size bytes back: it was delivered.
	Release(size int)
	// Put keeps a frame, header included, which is borrowed. final: an analyzer
	// has refused it for ever.
	Put(frame []byte, final bool)
}

// submission is one frame on its way into the loop.
type submission struct {
	frame    []byte // its own copy, header included
	messages int
	done     func(Delivery)
	to       *desk
	promised bool // its place is reserved, and its sender has gone on
	code     protocol.NackCode
	decided  chan struct{} // one slot: the loop never blocks on it
}

// While several frames come with each turn, the next turn waits for more of them,
// for that long or until it is worth it: a turn is a wake-up, a write to each
// analyzer, their ACKs and a wake-up for each of them. At 25,000 requests a second,
// turns of one or two frames were a third of what /ingest cost, and turns of 25 an
// eighth more than turns of 75. Nobody waits for it: the first frame after a quiet
// time, one whose sender wants to know the outcome, and one that takes a place of a
// queue that fills up do not linger.
const (
	mailLinger = 5 * time.Millisecond
	mailEnough = 256 // frames
)

// keepFrameBytes is the largest buffer that a submission keeps for the next one.
const keepFrameBytes = 64 << 10

// mailbox is how frames of other goroutines (HTTP) reach the loop: a list with
// one wake-up for all that is in it. Safe for concurrent use; the desks are owned
// by the loop.
//
// Where a frame may go to any analyzer, its place in the queue is reserved here,
// and it is the loop's from then on: many frames come in with one turn. Where it
// has to go to one analyzer (strict, affinity), only the loop knows whether that
// has room, and its word is awaited. So the list is bounded by the queue and the
// budget, or by its users, of whom each has one frame in it and waits.
type mailbox struct {
	shared  *dispatch.Shared
	promise bool // frames may go to any analyzer

	mu     sync.Mutex
	in     []*submission
	spare  []*submission
	state  mailState
	busy   bool // the last turn had several frames: the next may wait for more
	closed bool
	soon   *time.Timer // wakes the loop when a wait is over

	owned desk // the distributor answers for its frames
	lent  desk // somebody else still has them
	pool  sync.Pool
}

// mailState is what a loop knows of its mail, least first. Immutable.
type mailState uint8

const (
	mailAsleep  mailState = iota
	mailLingers           // frames wait for more of them; soon is set
	mailWaking            // the loop will read them next
)

func (l *Loop) initMail(cfg *Config) {
	m, core := &l.mail, l.core
	m.shared = cfg.Shared
	m.promise = cfg.Dispatch.Route == dispatch.RouteWeighted && !cfg.Dispatch.Strict
	m.soon = time.AfterFunc(time.Hour, l.endLinger)
	m.soon.Stop()
	m.owned.open(core, cfg.Keeper)
	m.lent.open(core, nil)
	m.pool.New = func() any { return &submission{decided: make(chan struct{}, 1)} }
}

// Submit gives a scanned body to the loop: code 0 means that it was admitted.
// Its place at the Keeper must be reserved; from its admission on it is the
// loop's to give back. done may be nil; for an admitted frame it is called exactly
// once, mostly by the loop; it must not block. Safe for concurrent use.
func (l *Loop) Submit(body []byte, messages int, done func(Delivery)) protocol.NackCode {
	return l.post(&l.mail.owned, body, messages, done)
}

// Lend is Submit for a frame that the caller keeps until it is delivered: one
// that nobody takes is only answered. Safe for concurrent use.
func (l *Loop) Lend(body []byte, messages int, done func(Delivery)) protocol.NackCode {
	return l.post(&l.mail.lent, body, messages, done)
}

func (l *Loop) post(to *desk, body []byte, messages int, done func(Delivery)) protocol.NackCode {
	m := &l.mail
	size := protocol.HeaderSize + len(body)
	if m.promise && (to.greedy.Load() || !m.shared.TryReserve(size)) {
		return protocol.NackBusy
	}
	s := m.pool.Get().(*submission)
	s.frame = protocol.AppendFrame(s.frame[:0], body)
	s.messages, s.done, s.to, s.promised = messages, done, to, m.promise
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		if m.promise {
			m.shared.Unreserve(size)
		}
		m.recycle(s)
		return protocol.NackDraining
	}
	m.in = append(m.in, s)
	next := mailLingers
	if !m.busy || !m.promise || done != nil || len(m.in) >= mailEnough || m.shared.Filling() {
		next = mailWaking
	}
	changed := next > m.state
	m.state = max(m.state, next)
	m.mu.Unlock()
	switch {
	case !changed:
	case next == mailWaking:
		l.wakeForMail()
	default:
		m.soon.Reset(mailLinger)
	}
	if m.promise {
		return 0
	}
	<-s.decided
	code := s.code
	m.recycle(s)
	return code
}

// endLinger wakes the loop for frames that have waited for more of them.
func (l *Loop) endLinger() {
	m := &l.mail
	m.mu.Lock()
	over := m.state == mailLingers
	if over {
		m.state = mailWaking
	}
	m.mu.Unlock()
	if over {
		l.wakeForMail()
	}
}

func (l *Loop) wakeForMail() {
	if l.execute(l.readMail) != nil {
		l.mail.abandon()
	}
}

func (m *mailbox) recycle(s *submission) {
	if cap(s.frame) > keepFrameBytes {
		s.frame = nil
	}
	s.done = nil
	m.pool.Put(s)
}

// readMail dispatches what lies in the mailbox, as one turn.
func (l *Loop) readMail() {
	m := &l.mail
	m.mu.Lock()
	in := m.in
	m.in, m.spare = m.spare[:0], nil
	m.state = mailAsleep
	m.busy = len(in) > 1
	m.mu.Unlock()
	l.beginTurn()
	for i, s := range in {
		in[i] = nil
		if s.promised {
			s.to.await(l.core.Accept(s.to.session, s.frame, s.messages), s.done)
			m.recycle(s)
			continue
		}
		var n uint64
		if n, s.code = l.core.Submit(s.to.session, s.frame, s.messages); s.code == 0 {
			s.to.await(n, s.done)
		}
		s.decided <- struct{}{}
	}
	m.mu.Lock()
	m.spare = in[:0]
	m.mu.Unlock()
	l.flush()
	m.judge(l.core)
}

// Drain closes the mailbox and stops admission; what was promised before is
// dispatched first, so that the drain settles it.
func (l *Loop) Drain(ctx context.Context) error {
	l.mail.mu.Lock()
	l.mail.closed = true
	l.mail.mu.Unlock()
	return l.Do(ctx, func(core *dispatch.Core) {
		l.readMail()
		core.Drain()
	})
}

// judge renews whether the desks hold more than their part.
func (m *mailbox) judge(core *dispatch.Core) {
	for _, d := range []*desk{&m.owned, &m.lent} {
		if greedy := core.Greedy(d.session); greedy != d.greedy.Load() {
			d.greedy.Store(greedy)
		}
	}
}

// abandon ends what is in the mailbox of a loop that has stopped: what was
// promised is kept, the rest refused.
func (m *mailbox) abandon() {
	m.mu.Lock()
	m.closed = true
	left := m.in
	m.in = nil
	m.mu.Unlock()
	for _, s := range left {
		if !s.promised {
			s.code = protocol.NackDraining
			s.decided <- struct{}{}
			continue
		}
		m.shared.Unreserve(len(s.frame))
		d := Delivery{Code: protocol.NackDraining}
		if keeper := s.to.keeper; keeper != nil {
			keeper.Put(s.frame, false)
			d.Kept = true
		}
		if s.done != nil {
			s.done(d)
		}
	}
}

// desk hears of the frames of one session without a wire. Owned by one loop.
type desk struct {
	greedy  atomic.Bool // holds more than its part; the only field that others may read
	session *dispatch.Session
	keeper  Keeper // nil: the frames are lent
	pending map[uint64]func(Delivery)
}

func (d *desk) open(core *dispatch.Core, keeper Keeper) {
	d.keeper, d.pending = keeper, make(map[uint64]func(Delivery))
	d.session = core.OpenObserved(d, keeper != nil)
}

// await notes who is to hear of frame n.
func (d *desk) await(n uint64, done func(Delivery)) {
	if done != nil {
		d.pending[n] = done
	}
}

// Delivered is called by the core.
func (d *desk) Delivered(n uint64, analyzer, size int) {
	if d.keeper != nil {
		d.keeper.Release(size)
	}
	d.answer(n, Delivery{Delivered: true, Analyzer: analyzer})
}

// Refused is called by the core.
func (d *desk) Refused(n uint64, code protocol.NackCode, frame []byte) {
	if d.keeper != nil {
		d.keeper.Put(frame, code == protocol.NackInvalid || code == protocol.NackTooLarge)
	}
	d.answer(n, Delivery{Kept: d.keeper != nil, Code: code})
}

func (d *desk) answer(n uint64, how Delivery) {
	if done, ok := d.pending[n]; ok {
		delete(d.pending, n)
		done(how)
	}
}
