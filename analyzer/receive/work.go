package receive

import (
	"errors"
	"fmt"
	"time"

	"sluice/protocol"
)

// worker handles what one connection's reader admitted. Owned by the
// connection's second goroutine.
type worker struct {
	*conn
	session Session
	inspect *protocol.Inspector
	box     inbox
	packet  Packet
	batch   batch
}

// batch is what was handled since the last flush.
type batch struct {
	frames, bytes uint64
	work          int         // bytes scanned, which for compressed frames are more
	taken         []uint64Run // frames that the session took; the flush decides
	refused       []refusal   // the others, and their answers
}

type uint64Run struct{ first, count uint64 }

type refusal struct {
	n     uint64
	code  protocol.NackCode
	retry time.Duration
	text  string
}

// work runs until the connection is closing and its inbox empty, or it is dead.
func (c *conn) work(s Session) {
	defer close(c.workDone)
	w := &worker{conn: c, session: s, inspect: protocol.NewInspector(c.srv.cfg.MaxFrame)}
	defer w.contain("end", nil, s.End)
	for w.swap() {
		w.handleBox()
	}
}

// swap waits for frames and takes all of them; false means the end.
func (w *worker) swap() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.conn.inbox.empty() && !w.closing && !w.dead {
		w.wake.Wait()
	}
	if w.dead || w.conn.inbox.empty() {
		return false
	}
	w.box.reset(&w.free)
	w.box, w.conn.inbox = w.conn.inbox, w.box
	w.working = w.box.runs[0].first
	return true
}

// handleBox handles all frames of the box, flushing and acknowledging after
// each batchBytes of them and at the end.
func (w *worker) handleBox() {
	w.packet.Received = time.Now()
	at := 0 // in the segment
	for i, r := range w.box.runs {
		if i > 0 && r.segment != w.box.runs[i-1].segment {
			at = 0
		}
		segment := w.box.segments[r.segment]
		n := r.first
		for at < r.end {
			size := protocol.HeaderSize + int(protocol.FrameLength(segment[at:]))
			w.frame(n, segment[at:at+size])
			at += size
			n++
			last := at == r.end && i == len(w.box.runs)-1
			if w.batch.work < batchBytes || last {
				continue
			}
			next := n
			if at == r.end {
				next = w.box.runs[i+1].first
			}
			if !w.endBatch(next) {
				return
			}
		}
	}
	w.endBatch(0)
}

// frame has one frame judged and handled.
func (w *worker) frame(n uint64, frame []byte) {
	b := &w.batch
	b.frames++
	b.bytes += uint64(len(frame))
	plain, err := w.inspect.Inflate(frame[protocol.HeaderSize:])
	b.work += max(len(frame), len(plain))
	var s protocol.Scanned
	if err == nil {
		err = protocol.Scan(plain, &s)
	}
	if err != nil {
		b.refused = append(b.refused, refusal{n, protocol.NackInvalid, 0, err.Error()})
		w.contain("invalid", nil, func() { w.session.Invalid(err) })
		return
	}
	p := &w.packet
	p.ID, p.AgentID, p.Messages, p.Body, p.WireBytes = s.PacketID, s.AgentID, s.Messages, plain, len(frame)
	if err := w.hand(p); err != nil {
		b.refused = append(b.refused, refusalOf(n, err))
		return
	}
	if last := len(b.taken) - 1; last >= 0 && b.taken[last].first+b.taken[last].count == n {
		b.taken[last].count++
		return
	}
	b.taken = append(b.taken, uint64Run{n, 1})
}

// hand gives a packet to the session. A panic there is this packet's alone.
func (w *worker) hand(p *Packet) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the handler failed: %v", r)
			w.srv.log.Warn("the handler panicked", "packet_id", string(p.ID), "panic", r)
		}
	}()
	return w.session.Packet(p)
}

// contain runs one of the session's other calls; a panic becomes *err, if
// there is one.
func (w *worker) contain(what string, err *error, call func()) {
	defer func() {
		if r := recover(); r != nil {
			w.srv.log.Warn("the handler panicked", "call", what, "panic", r)
			if err != nil {
				*err = fmt.Errorf("the handler failed: %v", r)
			}
		}
	}()
	call()
}

func refusalOf(n uint64, err error) refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return refusal{n, r.Code, r.RetryAfter, r.Text}
	}
	return refusal{n, protocol.NackUnavailable, retryUnavailable, err.Error()}
}

// endBatch flushes the session and answers the batch: the NACKs, then one ACK.
// next is the number the worker goes on with, 0 for none. It returns false if
// the connection is dead.
func (w *worker) endBatch(next uint64) bool {
	b := &w.batch
	var err error
	if len(b.taken) > 0 {
		w.contain("flush", &err, func() { err = w.session.Flush() })
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		r := refusalOf(0, err)
		for _, t := range b.taken {
			for n := t.first; n < t.first+t.count; n++ {
				w.answers.nack(n, r.code, r.retry, r.text)
			}
		}
		w.srv.log.Warn("a batch could not be kept", "error", err)
	}
	for _, r := range b.refused {
		w.answers.nack(r.n, r.code, r.retry, r.text)
		w.writeIfMuch()
	}
	w.settle(b.frames, b.bytes)
	b.frames, b.bytes, b.work, b.taken, b.refused = 0, 0, 0, b.taken[:0], b.refused[:0]
	w.working = next
	w.announce()
	w.write()
	return !w.dead
}
