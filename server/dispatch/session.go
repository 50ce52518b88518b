package dispatch

import (
	"time"

	"sluice/protocol"
	"sluice/server/route"
)

// Observer hears of every frame of a session that has no wire of its own
// (HTTP /ingest). It is called by the loop, must not block, and hears of each
// number exactly once.
type Observer interface {
	// Delivered: the analyzer of this index acknowledged frame n of size bytes,
	// header included.
	Delivered(n uint64, analyzer, size int)
	// Refused: frame n was answered with code after it was admitted. frame,
	// header included, is borrowed. If the distributor answers for the
	// session's frames, the observer keeps it as a dead letter.
	Refused(n uint64, code protocol.NackCode, frame []byte)
}

// Session is one sender: an agent's connection, or the HTTP side of a loop.
// It outlives its connection until its last frame is settled, and only then
// is its slot given to another, so that an answer can never reach a stranger.
// Owned by one loop.
type Session struct {
	// Conn is the loop's own connection; the core never looks at it.
	Conn any

	slot     uint32
	observer Observer // nil for a connection
	owned    bool     // the distributor answers for its frames (202): a refused one is a dead letter

	number      uint64 // data frames received
	bytes       uint64 // of data frames received, headers included
	unsettled   int    // admitted and not answered
	settledSize uint64 // bytes of settled frames
	seq         protocol.AckSequence

	window                    int    // frames of credit beyond what has settled; see credit.go
	judgeAt                   uint64 // it is judged again when so many frames have settled
	creditFrames, creditBytes uint64 // told to the sender, or the first credit
	told                      uint64 // n of the last ACK

	stuckTable *route.Table // of the last pick by agent_id
	stuckKey   []byte
	stuckTo    int

	judgedAt, dry, drySince time.Duration // when the window was judged; dry for so long before, and since then, 0: is not dry

	heardAt   time.Duration // last byte received
	partialAt time.Duration // since when a frame is incomplete; 0: none is
	unreadAt  time.Duration // since when answers are not read; 0: they are
	askedAt   time.Duration // of the last PING
	lookAt    time.Duration // when a deadline may be over
	place     int           // in the core's heap of them

	partial []byte // the received part of a frame that was cut; nil without one
	charged int64  // bytes of the budget that partial holds
	discard int    // body bytes still to come of a frame that was refused by its header

	hello    bool     // said HELLO
	spoke    bool     // sent any frame, so that HELLO is out of place
	gone     bool     // the connection is closed
	closing  bool     // last words are said: nothing more is read
	drained  bool     // GOAWAY 0 was said
	dirty    bool     // in the core's list of sessions with something to say
	pong     [64]byte // x of the last PING
	pongSize int
	answers  []byte // NACKs and last words that wait for the socket, in order
	owed     int64  // bytes of the budget that answers hold, here and in the loop
	nack     pendingNack
}

// pendingNack is a run of consecutive frames with one answer, not yet encoded.
type pendingNack struct {
	n, count uint64
	code     protocol.NackCode
	retry    time.Duration
	text     string
}

// Closing says that the connection should be closed once its last words are
// written: the write side shut, input discarded until the peer's FIN.
func (s *Session) Closing() bool { return s.closing }

// Spoken says that the last words of a closing session have all been handed out.
func (s *Session) Spoken() bool { return s.closing && len(s.answers) == 0 }

// Unsettled returns how many admitted frames have no answer yet.
func (s *Session) Unsettled() int { return s.unsettled }

// Hello says whether the sender introduced itself, so that it may be PINGed.
func (s *Session) Hello() bool { return s.hello }

// Open makes a session for a connection.
func (c *Core) Open(conn any) *Session {
	s := &Session{Conn: conn, window: c.cfg.SessionWindowFrames, judgeAt: uint64(c.cfg.SessionWindowFrames), judgedAt: c.now, drySince: c.now,
		creditFrames: protocol.FirstCreditFrames, creditBytes: protocol.FirstCreditBytes}
	c.register(s)
	s.heardAt = c.now
	if c.cfg.IdlePlain > 0 {
		c.lookBy(s, c.now+c.cfg.IdlePlain)
	}
	c.count.Sessions++
	if c.draining {
		c.sayGoaway(s)
	}
	return s
}

// OpenObserved makes a session without a wire, whose frames come by Submit and
// whose answers go to the observer. owned says that the distributor answers
// for its frames: one that nobody takes is a dead letter, and not rejected.
func (c *Core) OpenObserved(o Observer, owned bool) *Session {
	s := &Session{observer: o, owned: owned}
	c.register(s)
	return s
}

func (c *Core) register(s *Session) {
	s.place = noPlace
	if n := len(c.freeSlots); n > 0 {
		s.slot = c.freeSlots[n-1]
		c.freeSlots = c.freeSlots[:n-1]
		c.sessions[s.slot] = s
		return
	}
	s.slot = uint32(len(c.sessions))
	c.sessions = append(c.sessions, s)
}

// SessionLost tells that the connection of a session is closed. Its admitted
// frames are still delivered; its slot is reused after the last of them.
func (c *Core) SessionLost(s *Session) {
	if s.gone {
		return
	}
	s.gone = true
	s.Conn = nil
	c.count.Sessions--
	c.forgetDeadline(s)
	c.dropPartial(s)
	s.answers, s.nack = nil, pendingNack{}
	c.owe(s, 0)
	c.retire(s)
}

// retire frees the slot of a session that is gone and has nothing open.
func (c *Core) retire(s *Session) {
	if s.gone && s.unsettled == 0 && c.sessions[s.slot] == s {
		c.sessions[s.slot] = nil
		c.freeSlots = append(c.freeSlots, s.slot)
	}
}

// settle records the one answer to an admitted or refused frame of a session.
func (c *Core) settle(s *Session, number uint64, size int) {
	if s.observer != nil {
		return
	}
	s.seq.Settle(number)
	s.settledSize += uint64(size)
	c.touch(s)
}

func (c *Core) touch(s *Session) {
	if !s.dirty && !s.gone {
		s.dirty = true
		c.dirtySessions = append(c.dirtySessions, s)
	}
}

// NextAnswers returns what is to be written to the session now: NACKs before
// the ACK that passes them, a PONG, then one ACK if the settled number moved
// or the sender needs the credit. Of many answers it is a piece, and the
// session stays marked. The loop calls it only when the socket took everything
// before. Borrowed until the next call on the core.
func (c *Core) NextAnswers(s *Session) []byte {
	s.dirty = false
	if s.gone {
		return nil
	}
	s.unreadAt = 0
	c.flushNack(s)
	if len(s.answers) > answerPiece {
		out := append(c.scratch[:0], s.answers[:answerPiece]...)
		s.answers = s.answers[:copy(s.answers, s.answers[answerPiece:])]
		c.scratch = out
		c.touch(s)
		return out
	}
	out := append(c.scratch[:0], s.answers...)
	s.answers = s.answers[:0]
	if cap(s.answers) > freeAnswerBytes {
		s.answers = nil
	}
	c.owe(s, 0)
	if s.pongSize > 0 {
		out = protocol.AppendPong(out, s.pong[:s.pongSize])
		s.pongSize = 0
	}
	if !s.closing {
		out = c.appendAck(out, s)
	}
	c.scratch = out
	return out
}

// sayNack records the answer to frame number; consecutive frames with the
// same answer become one NACK.
func (c *Core) sayNack(s *Session, number uint64, code protocol.NackCode, retry time.Duration, text string) {
	p := &s.nack
	if p.count > 0 && p.n+p.count == number && p.code == code && p.text == text {
		p.count++
		return
	}
	c.flushNack(s)
	*p = pendingNack{n: number, count: 1, code: code, retry: retry, text: text}
}

func (c *Core) flushNack(s *Session) {
	p := &s.nack
	if p.count == 0 {
		return
	}
	s.answers = protocol.AppendNack(s.answers, p.n, p.code, p.retry, p.text, p.count)
	p.count = 0
	if size := int64(cap(s.answers)); size > freeAnswerBytes && size > s.owed && !c.owe(s, size) {
		c.hangUp(s, protocol.GoawayOverload, "no memory for more answers")
	}
}

// owe charges the answers of a session with so many bytes in all. False means
// that the budget is used up and nothing changed.
func (c *Core) owe(s *Session, bytes int64) bool {
	if more := bytes - s.owed; more > 0 && !c.chunks.budget.tryTake(more) {
		return false
	} else if more < 0 {
		c.chunks.budget.give(-more)
	}
	s.owed = bytes
	return true
}

// Unread tells that the session's socket has not taken the last answers yet.
// A sender that leaves too many more of them unread is hung up on.
func (c *Core) Unread(s *Session) {
	if s.unreadAt == 0 {
		s.unreadAt = c.now
		c.lookBy(s, c.now+c.cfg.WriteStall)
	}
	switch { // the loop holds a piece that was not read, too
	case len(s.answers) > answerBytes:
		c.hangUp(s, protocol.GoawayOverload, "answers are not read")
	case s.owed < answerPiece && !c.owe(s, answerPiece):
		c.hangUp(s, protocol.GoawayOverload, "answers are not read, and there is no memory for them")
	}
}

// hangUp says GOAWAY as the last words of a connection.
func (c *Core) hangUp(s *Session, code protocol.GoawayCode, text string) {
	if s.closing || s.gone {
		return
	}
	s.closing = true
	c.forgetDeadline(s)
	c.flushNack(s)
	s.answers = c.appendAck(s.answers, s)
	s.answers = protocol.AppendGoaway(s.answers, code, text)
	c.dropPartial(s)
	c.count.HungUp++
	c.touch(s)
}
