package wire

import (
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// pendingRefuse is a run of consecutive frames with one answer, not yet encoded.
type pendingRefuse struct {
	n, count uint64
	code     protocol.NackCode
	retry    time.Duration
	text     string
}

// Delivered is called by the core.
func (a *Agent) Delivered(first, count uint64, analyzer, bytes int) { a.touch() }

// Refused is called by the core. Consecutive frames with the same answer become
// one NACK.
func (a *Agent) Refused(r *dispatch.Refusal) {
	if a.gone {
		return
	}
	a.touch()
	p := &a.nack
	if p.count > 0 && p.n+p.count == r.Number && p.code == r.Code && p.text == r.Text {
		p.count++
		return
	}
	a.flushNack()
	*p = pendingRefuse{n: r.Number, count: 1, code: r.Code, retry: r.RetryAfter, text: r.Text}
}

func (a *Agent) flushNack() {
	p := &a.nack
	if p.count == 0 {
		return
	}
	a.answers = protocol.AppendNack(a.answers, p.n, p.code, p.retry, p.text, p.count)
	p.count = 0
	if size := int64(cap(a.answers)); size > freeAnswerBytes && size > a.owed && !a.owe(size) {
		a.hangUp(protocol.GoawayOverload, "no memory for more answers")
	}
}

// owe charges the answers of a connection with so many bytes in all. False means
// that the budget is used up and nothing changed.
func (a *Agent) owe(bytes int64) bool {
	if more := bytes - a.owed; more > 0 && !a.source.TryCharge(more) {
		return false
	} else if more < 0 {
		a.source.Discharge(-more)
	}
	a.owed = bytes
	return true
}

// NextAnswers returns what is to be written now: NACKs before the ACK that passes
// them, a PONG, then one ACK if the settled number moved or the sender needs the
// credit. Of many answers it is a piece, and the wire stays marked. The pump calls
// it only when the socket took everything before. Borrowed until the next call on
// any wire of the loop.
func (a *Agent) NextAnswers() []byte {
	a.dirty = false
	if a.gone {
		return nil
	}
	w := a.home
	a.unreadAt = 0
	a.flushNack()
	if len(a.answers) > answerPiece {
		out := append(w.scratch[:0], a.answers[:answerPiece]...)
		a.answers = a.answers[:copy(a.answers, a.answers[answerPiece:])]
		w.scratch = out
		a.touch()
		return out
	}
	out := append(w.scratch[:0], a.answers...)
	a.answers = a.answers[:0]
	if cap(a.answers) > freeAnswerBytes {
		a.answers = nil
	}
	a.owe(0)
	if a.pongSize > 0 {
		out = protocol.AppendPong(out, a.pong[:a.pongSize])
		a.pongSize = 0
	}
	if !a.closing {
		if ack, due := a.source.NextAck(); due {
			out = protocol.AppendAck(out, ack.N, ack.Frames, ack.Bytes)
		}
	}
	w.scratch = out
	return out
}

// Owes says that there is something to be written now.
func (a *Agent) Owes() bool {
	return len(a.answers) > 0 || a.nack.count > 0 || a.pongSize > 0 || !a.closing && a.source.OwesAck()
}

// Unread tells that the socket has not taken the last answers yet. A sender that
// leaves too many more of them unread is hung up on.
func (a *Agent) Unread() {
	w := a.home
	if a.unreadAt == 0 {
		a.unreadAt = w.core.Now()
		w.lookBy(a, a.unreadAt+w.cfg.WriteStall)
	}
	switch { // the event loop holds a piece that was not read, too
	case len(a.answers) > answerBytes:
		a.hangUp(protocol.GoawayOverload, "answers are not read")
	case a.owed < answerPiece && !a.owe(answerPiece):
		a.hangUp(protocol.GoawayOverload, "answers are not read, and there is no memory for them")
	}
}
