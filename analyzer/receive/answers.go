package receive

import (
	"time"

	"sluice/protocol"
)

// answers collects what is to be written to a sender. Neighbouring frames that
// are refused for the same reason become one NACK. Owned by whoever holds the
// connection's lock.
type answers struct {
	buf []byte

	// The NACK that may still grow; count 0: none.
	first, count uint64
	code         protocol.NackCode
	retry        time.Duration
	text         string
}

func (a *answers) nack(n uint64, code protocol.NackCode, retry time.Duration, text string) {
	if a.count > 0 && n == a.first+a.count && code == a.code && retry == a.retry && text == a.text {
		a.count++
		return
	}
	a.endNack()
	a.first, a.count, a.code, a.retry, a.text = n, 1, code, retry, cutText(text)
}

func (a *answers) endNack() {
	if a.count > 0 {
		a.buf = protocol.AppendNack(a.buf, a.first, a.code, a.retry, a.text, a.count)
		a.count = 0
	}
}

func (a *answers) ack(n, frames, bytes uint64) {
	a.endNack() // a NACK always goes before the ACK that passes its frame
	a.buf = protocol.AppendAck(a.buf, n, frames, bytes)
}

func (a *answers) pong(echo []byte) {
	a.endNack()
	a.buf = protocol.AppendPong(a.buf, echo)
}

func (a *answers) welcome(w protocol.Welcome) { a.buf = protocol.AppendWelcome(a.buf, w) }

func (a *answers) goaway(code protocol.GoawayCode, text string) {
	a.endNack()
	a.buf = protocol.AppendGoaway(a.buf, code, cutText(text))
}

// take returns all that is to be written, and forgets it; borrowed until the
// next answer.
func (a *answers) take() []byte {
	a.endNack()
	out := a.buf
	a.buf = a.buf[:0]
	if cap(a.buf) > 2*maxAnswers {
		a.buf = nil
	}
	return out
}

// cutText keeps texts of handlers within what a control frame may hold.
func cutText(s string) string { return s[:min(len(s), 256)] }

// write hands all pending answers to the kernel. A peer that does not read
// them in time, or is gone, ends the connection: what is in its inbox was
// acknowledged to nobody and is dropped. Its caller holds the lock.
func (c *conn) write() {
	out := c.answers.take()
	if len(out) == 0 || c.dead {
		return
	}
	c.nc.SetWriteDeadline(time.Now().Add(c.srv.cfg.WriteTimeout))
	if _, err := c.nc.Write(out); err != nil {
		c.dead = true
		c.nc.Close()
		c.wake.Signal()
	}
}

// writeIfMuch keeps what is pending within a bound while a batch goes on.
func (c *conn) writeIfMuch() {
	if len(c.answers.buf) >= maxAnswers {
		c.write()
	}
}
