package dispatch

import (
	"fmt"
	"time"

	"sluice/protocol"
	"sluice/server/stage"
)

// Receive takes what was read from a link's connection: control frames of the
// analyzer. data is borrowed.
func (l *Link) Receive(data []byte) {
	if l.state != linkGreeting && l.state != linkReady {
		return
	}
	l.heardAt = l.core.now
	if len(l.partial) > 0 {
		l.partial = append(l.partial, data...)
		data = l.partial
	}
	rest := l.obeyAll(data)
	l.partial = append(l.partial[:0], rest...)
	if l.state != linkReady {
		return
	}
	l.drainWaiting()
	l.core.drainQueue()
	l.touchUnwritten()
	l.endDrain()
}

// obeyAll obeys the complete frames and returns the cut rest, which is shorter
// than one control frame.
func (l *Link) obeyAll(data []byte) (rest []byte) {
	c := l.core
	for len(data) >= protocol.HeaderSize {
		size := protocol.FrameLength(data)
		if size-1 >= protocol.MaxControlFrame { // 0 wraps
			l.giveUp(fmt.Sprintf("analyzer sent a frame of %d bytes where a control frame belongs", size))
			return nil
		}
		end := protocol.HeaderSize + int(size)
		if len(data) < end {
			break
		}
		body := data[protocol.HeaderSize:end]
		if !protocol.IsControl(body[0]) {
			l.giveUp("analyzer sent a data frame")
			return nil
		}
		if err := protocol.ParseControl(body, &c.control); err != nil {
			l.giveUp("analyzer sent a malformed control frame: " + err.Error())
			return nil
		}
		l.obey(&c.control)
		if l.state == linkDoomed {
			return nil
		}
		data = data[end:]
	}
	return data
}

func (l *Link) obey(m *protocol.Control) {
	switch m.Op {
	case protocol.OpWelcome:
		l.welcomed(&m.Welcome)
	case protocol.OpAck:
		l.ack(m.N, m.Frames, m.Bytes)
	case protocol.OpNack:
		l.nack(m)
	case protocol.OpPing:
		l.control = protocol.AppendPong(l.control, m.Echo)
		l.touch()
		if len(l.control) > 2*protocol.MaxControlFrame {
			l.giveUp("analyzer sends PINGs and does not read the answers")
		}
	case protocol.OpPong:
		l.pingedAt = 0
		if l.state == linkReady && !l.suspect && l.core.table.Weight(l.index) == 0 {
			l.tell(LinkIsWell, "")
		}
	case protocol.OpGoaway:
		l.goaway(protocol.GoawayCode(m.Code), string(m.Text))
	case protocol.OpHello:
		l.giveUp("analyzer sent a HELLO")
	}
}

// welcomed lets the link carry data, unless the analyzer accepts less than we
// have promised to agents.
func (l *Link) welcomed(w *protocol.Welcome) {
	cfg := &l.core.cfg
	switch {
	case l.state != linkGreeting:
		l.giveUp("analyzer sent a second WELCOME")
		return
	case w.Version != protocol.Version:
		l.giveUp(fmt.Sprintf("analyzer speaks protocol version %d, not %d", w.Version, protocol.Version))
		return
	case w.MaxFrame < cfg.MaxFrame:
		l.giveUp(fmt.Sprintf("analyzer accepts frames up to %d bytes, agents may send %d", w.MaxFrame, cfg.MaxFrame))
		return
	}
	for _, want := range Accepted {
		found := false
		for _, have := range w.Compression {
			found = found || have == want
		}
		if !found {
			l.giveUp("analyzer does not accept compression " + want.String())
			return
		}
	}
	if cfg.Lineage != nil {
		if err := cfg.Lineage.AddReceiver(l, w.Reach); err != nil {
			l.giveUp(err.Error())
			return
		}
	}
	l.flight.Raise(w.Frames, w.Bytes)
	l.state = linkReady
	l.tell(LinkIsReady, "")
}

// Accepted is every compression that the scan inflates. Not to be changed.
var Accepted = []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip}

// ack settles the written frames up to n.
func (l *Link) ack(n, frames, bytes uint64) {
	c := l.core
	if n < l.flight.Acked() {
		c.count.LateAnswers++
		return
	}
	count, ok := l.flight.Ack(n, c.now, l)
	if !ok {
		c.count.FalseAcks++
		l.giveUp("analyzer acknowledged a frame that was never written to it")
		return
	}
	l.flight.Raise(frames, bytes)
	if count > 0 {
		l.progressAt = c.now
		l.handOver.acknowledged(c.now, count, &c.cfg)
	}
}

// Acked is called by the window: an analyzer has acknowledged frames.
func (l *Link) Acked(r stage.Run) {
	c := l.core
	s := c.sources.all[r.Source]
	if s.credit != nil {
		s.credit.settle(r.Number, r.Count, r.Bytes)
	}
	c.count.Delivered += r.Count
	c.count.Analyzers[l.index].Delivered += r.Count
	c.answered(s, int(r.Count), r.Bytes)
	s.owner.Delivered(r.Number, r.Count, l.index, r.Bytes)
	c.retire(s)
}

// RoundTrip is called by the window: frames were acknowledged after a time.
func (l *Link) RoundTrip(d time.Duration, count uint64, whole bool) {
	l.core.count.Analyzers[l.index].Latency.count(d, count)
	if whole {
		l.handOver.roundTrip(d)
	}
}

// nack takes back, or passes on, the written frames that an analyzer refuses.
// Their numbers stay due until an ACK passes them.
func (l *Link) nack(m *protocol.Control) {
	c := l.core
	if !l.flight.Wrote(m.N, m.Count) {
		c.count.FalseAcks++
		l.giveUp("analyzer refused a frame that was never written to it")
		return
	}
	code := protocol.NackCode(m.Code)
	final := code == protocol.NackInvalid || code == protocol.NackTooLarge
	retryAfter := time.Duration(0)
	if code == protocol.NackUnavailable {
		retryAfter = min(max(m.RetryAfter, c.cfg.HandOverSpan), c.cfg.AckTimeout)
	}
	first, end := max(m.N, l.flight.Acked()+1), m.N+m.Count
	c.count.LateAnswers += min(first, end) - m.N
	for i := uint64(0); first+i < end; i++ {
		n := first + i
		if !final {
			n = end - 1 - i // backwards: each goes to the head of the queue
		}
		taken, ok := l.flight.TakeWritten(n)
		switch {
		case !ok:
			c.count.LateAnswers++
		case final:
			c.reject(&taken, code, 0, "refused by the analyzer: "+string(m.Text))
		default:
			c.failed(l, taken, retryAfter)
		}
	}
	switch code {
	case protocol.NackInvalid, protocol.NackTooLarge:
	case protocol.NackUnauthorized:
		l.giveUp("analyzer says that we are unauthorized")
	case protocol.NackDraining:
		l.goaway(protocol.GoawayDrain, "")
	case protocol.NackUnavailable:
		// Of these frames, not of the analyzer: the others go on.
	default:
		l.pausedTill = c.now + max(min(m.RetryAfter, c.cfg.AckTimeout), c.cfg.HandOverSpan)
		l.spill() // it would wait behind the pause
	}
}

// goaway stops giving the link anything new; what was written may still be
// acknowledged, except after a fault.
func (l *Link) goaway(code protocol.GoawayCode, text string) {
	if code != protocol.GoawayDrain {
		l.giveUp("analyzer said GOAWAY " + code.String() + ": " + text)
		return
	}
	l.drain("analyzer drains")
}
