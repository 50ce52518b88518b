package loop

import (
	"sync"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// Delivery is the fate of a submitted frame that was admitted.
type Delivery struct {
	Delivered bool
	Analyzer  int               // index, when delivered
	Code      protocol.NackCode // why not
}

// submission is one frame on its way into the loop.
type submission struct {
	frame    []byte
	messages int
	done     func(Delivery)
	code     protocol.NackCode
	decided  chan struct{} // one slot: the loop never blocks on it
}

// mailbox is how frames of other goroutines (HTTP) reach the loop: a list with
// one wake-up for all that is in it. It is bounded by its users, of whom each
// has one frame in it and waits. Safe for concurrent use; pending is owned by
// the loop.
type mailbox struct {
	mu     sync.Mutex
	in     []*submission
	spare  []*submission
	awake  bool
	closed bool

	session *dispatch.Session
	pending map[uint64]func(Delivery)
	pool    sync.Pool
}

func (m *mailbox) init(core *dispatch.Core) {
	m.pending = make(map[uint64]func(Delivery))
	m.session = core.OpenObserved(m)
	m.pool.New = func() any { return &submission{decided: make(chan struct{}, 1)} }
}

// Submit gives a scanned frame (header included) to the loop and waits until
// it was admitted (code 0) or refused. frame is borrowed until then. done may
// be nil; for an admitted frame it is called exactly once, by the loop, unless
// the loop is stopped before; it must not block. Safe for concurrent use.
func (l *Loop) Submit(frame []byte, messages int, done func(Delivery)) protocol.NackCode {
	m := &l.mail
	s := m.pool.Get().(*submission)
	s.frame, s.messages, s.done = frame, messages, done
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
		if n, s.code = l.core.Submit(m.session, s.frame, s.messages); s.code == 0 && s.done != nil {
			m.pending[n] = s.done
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

// Delivered is called by the core.
func (m *mailbox) Delivered(n uint64, analyzer int) {
	m.answer(n, Delivery{Delivered: true, Analyzer: analyzer})
}

// Refused is called by the core.
func (m *mailbox) Refused(n uint64, code protocol.NackCode) {
	m.answer(n, Delivery{Code: code})
}

func (m *mailbox) answer(n uint64, d Delivery) {
	if done, ok := m.pending[n]; ok {
		delete(m.pending, n)
		done(d)
	}
}
