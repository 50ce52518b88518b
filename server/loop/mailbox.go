package loop

import (
	"sync"

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
	frame    []byte
	messages int
	done     func(Delivery)
	to       *desk
	code     protocol.NackCode
	decided  chan struct{} // one slot: the loop never blocks on it
}

// mailbox is how frames of other goroutines (HTTP) reach the loop: a list with
// one wake-up for all that is in it. It is bounded by its users, of whom each
// has one frame in it and waits. Safe for concurrent use; the desks are owned
// by the loop.
type mailbox struct {
	mu     sync.Mutex
	in     []*submission
	spare  []*submission
	awake  bool
	closed bool

	owned desk // the distributor answers for its frames
	lent  desk // somebody else still has them
	pool  sync.Pool
}

func (m *mailbox) init(core *dispatch.Core, keeper Keeper) {
	m.owned.open(core, keeper)
	m.lent.open(core, nil)
	m.pool.New = func() any { return &submission{decided: make(chan struct{}, 1)} }
}

// Submit gives a scanned frame (header included) to the loop and waits until
// it was admitted (code 0) or refused. frame is borrowed until then. Its place
// at the Keeper must be reserved; from its admission on it is the loop's to
// give back. done may be nil; for an admitted frame it is called exactly once,
// by the loop, unless the loop is stopped before; it must not block. Safe for
// concurrent use.
func (l *Loop) Submit(frame []byte, messages int, done func(Delivery)) protocol.NackCode {
	return l.post(&l.mail.owned, frame, messages, done)
}

// Lend is Submit for a frame that the caller keeps until it is delivered: one
// that nobody takes is only answered. Safe for concurrent use.
func (l *Loop) Lend(frame []byte, messages int, done func(Delivery)) protocol.NackCode {
	return l.post(&l.mail.lent, frame, messages, done)
}

func (l *Loop) post(to *desk, frame []byte, messages int, done func(Delivery)) protocol.NackCode {
	m := &l.mail
	s := m.pool.Get().(*submission)
	s.frame, s.messages, s.done, s.to = frame, messages, done, to
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		m.pool.Put(s)
		return protocol.NackDraining
	}
	m.in = append(m.in, s)
	wake := !m.awake
	m.awake = true
	m.mu.Unlock()
	if wake && l.execute(l.readMail) != nil {
		m.abandon()
	}
	<-s.decided
	code := s.code
	s.frame, s.done = nil, nil
	m.pool.Put(s)
	return code
}

// readMail dispatches what lies in the mailbox, as one turn.
func (l *Loop) readMail() {
	m := &l.mail
	m.mu.Lock()
	in := m.in
	m.in, m.spare = m.spare[:0], nil
	m.awake = false
	m.mu.Unlock()
	l.beginTurn()
	for i, s := range in {
		var n uint64
		if n, s.code = l.core.Submit(s.to.session, s.frame, s.messages); s.code == 0 && s.done != nil {
			s.to.pending[n] = s.done
		}
		in[i] = nil
		s.decided <- struct{}{}
	}
	m.mu.Lock()
	m.spare = in[:0]
	m.mu.Unlock()
	l.flush()
}

// abandon refuses what is in the mailbox of a loop that has stopped.
func (m *mailbox) abandon() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for _, s := range m.in {
		s.code = protocol.NackDraining
		s.decided <- struct{}{}
	}
	m.in = nil
}

// desk hears of the frames of one session without a wire. Owned by one loop.
type desk struct {
	session *dispatch.Session
	keeper  Keeper // nil: the frames are lent
	pending map[uint64]func(Delivery)
}

func (d *desk) open(core *dispatch.Core, keeper Keeper) {
	d.keeper, d.pending = keeper, make(map[uint64]func(Delivery))
	d.session = core.OpenObserved(d, keeper != nil)
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
