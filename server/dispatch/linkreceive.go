package dispatch

import (
	"fmt"

	"sluice/protocol"
)

// ReceiveLink takes what was read from a link's connection: control frames
// of the analyzer. data is borrowed.
func (c *Core) ReceiveLink(l *Link, data []byte) {
	if l.state != linkGreeting && l.state != linkReady {
		return
	}
	l.heardAt = c.now
	if len(l.partial) > 0 {
		l.partial = append(l.partial, data...)
		data = l.partial
	}
	rest := c.linkFrames(l, data)
	l.partial = append(l.partial[:0], rest...)
	if l.state != linkReady {
		return
	}
	c.drainWaiting(l)
	if c.queue.n > 0 {
		c.drainQueue()
	}
	if l.stage.n > l.handed {
		c.touchLink(l)
	}
	if l.draining && l.live == 0 {
		c.giveUp(l, "drained")
	}
}

// linkFrames obeys the complete frames and returns the cut rest, which is
// shorter than one control frame.
func (c *Core) linkFrames(l *Link, data []byte) (rest []byte) {
	for len(data) >= protocol.HeaderSize {
		size := protocol.FrameLength(data)
		if size-1 >= protocol.MaxControlFrame {
			c.giveUp(l, fmt.Sprintf("analyzer sent a frame of %d bytes where a control frame belongs", size))
			return nil
		}
		end := protocol.HeaderSize + int(size)
		if len(data) < end {
			break
		}
		body := data[protocol.HeaderSize:end]
		if !protocol.IsControl(body[0]) {
			c.giveUp(l, "analyzer sent a data frame")
			return nil
		}
		if err := protocol.ParseControl(body, &c.control); err != nil {
			c.giveUp(l, "analyzer sent a malformed control frame: "+err.Error())
			return nil
		}
		c.linkControl(l)
		if l.state == linkDoomed {
			return nil
		}
		data = data[end:]
	}
	return data
}

func (c *Core) linkControl(l *Link) {
	m := &c.control
	switch m.Op {
	case protocol.OpWelcome:
		c.welcomed(l, &m.Welcome)
	case protocol.OpAck:
		c.linkAck(l, m.N, m.Frames, m.Bytes)
	case protocol.OpNack:
		c.linkNack(l, m)
	case protocol.OpPing:
		l.control = protocol.AppendPong(l.control, m.Echo)
		c.touchLink(l)
		if len(l.control) > 2*protocol.MaxControlFrame {
			c.giveUp(l, "analyzer sends PINGs and does not read the answers")
		}
	case protocol.OpPong:
		l.pingedAt = 0
		if l.state == linkReady && !l.suspect && c.table.Weight(l.index) == 0 {
			c.events = append(c.events, LinkEvent{Link: l, Change: LinkIsWell})
		}
	case protocol.OpGoaway:
		c.linkGoaway(l, protocol.GoawayCode(m.Code), string(m.Text))
	case protocol.OpHello:
		c.giveUp(l, "analyzer sent a HELLO")
	}
}

// welcomed lets the link carry data, unless the analyzer accepts less than we
// have promised to agents.
func (c *Core) welcomed(l *Link, w *protocol.Welcome) {
	switch {
	case l.state != linkGreeting:
		c.giveUp(l, "analyzer sent a second WELCOME")
		return
	case w.Version != protocol.Version:
		c.giveUp(l, fmt.Sprintf("analyzer speaks protocol version %d, not %d", w.Version, protocol.Version))
		return
	case w.MaxFrame < c.cfg.MaxFrame:
		c.giveUp(l, fmt.Sprintf("analyzer accepts frames up to %d bytes, agents may send %d", w.MaxFrame, c.cfg.MaxFrame))
		return
	}
	for _, want := range accepted {
		found := false
		for _, have := range w.Compression {
			found = found || have == want
		}
		if !found {
			c.giveUp(l, "analyzer does not accept compression "+want.String())
			return
		}
	}
	l.credit.Raise(w.Frames, w.Bytes)
	l.state = linkReady
	c.events = append(c.events, LinkEvent{Link: l, Change: LinkIsReady})
}

// linkAck settles the written frames up to n.
func (c *Core) linkAck(l *Link, n, frames, bytes uint64) {
	if n < l.acked {
		c.count.LateAnswers++
		return
	}
	if n-l.acked > uint64(l.handed) {
		c.count.FalseAcks++
		c.giveUp(l, "analyzer acknowledged a frame that was never written to it")
		return
	}
	l.credit.Raise(frames, bytes)
	k := int(n - l.acked)
	if k == 0 {
		return
	}
	settled := c.delivered(l, k)
	c.count.Delivered += uint64(settled)
	at := &c.count.Analyzers[l.index]
	at.Delivered += uint64(settled)
	for from := l.acked; l.marks.n > 0 && from < n; {
		m := l.marks.front()
		upTo := min(m.upTo, n)
		at.Latency.add(c.now-m.at, upTo-from)
		from = upTo
		if m.upTo <= n {
			l.noteRoundTrip(c.now - m.at)
			l.marks.pop()
		}
	}
	l.stage.dropFront(k)
	l.handed -= k
	l.acked = n
	l.progressAt = c.now
	l.rate.add(c.now, c.cfg.HandOverSpan, k)
	c.prove(l, k)
}

// prove widens the window of a link on probation: it doubles for each window
// acknowledged. PONGs alone never widen it, because a stopped process still
// completes connects.
func (c *Core) prove(l *Link, k int) {
	if l.probation == 0 {
		return
	}
	if l.proven += k; l.proven < l.probation {
		return
	}
	l.proven = 0
	if l.probation *= 2; l.probation >= c.cfg.LinkWindowFrames {
		l.probation, l.onTrial = 0, false
	}
}

// linkNack takes back, or passes on, the written frames that an analyzer
// refuses. Their numbers stay due until an ACK passes them.
func (c *Core) linkNack(l *Link, m *protocol.Control) {
	if m.N == 0 || m.N-1 > l.acked+uint64(l.handed) || m.Count > l.acked+uint64(l.handed)-(m.N-1) {
		c.count.FalseAcks++
		c.giveUp(l, "analyzer refused a frame that was never written to it")
		return
	}
	code := protocol.NackCode(m.Code)
	final := code == protocol.NackInvalid || code == protocol.NackTooLarge
	first, end := max(m.N, l.acked+1), m.N+m.Count
	c.count.LateAnswers += min(first, end) - m.N
	for i := uint64(0); first+i < end; i++ {
		n := first + i
		if !final {
			n = end - 1 - i // backwards: each goes to the head of the queue
		}
		e := l.stage.at(int(n - l.acked - 1))
		if e.flags&entrySettled != 0 {
			c.count.LateAnswers++
			continue
		}
		taken := l.takeWritten(e)
		if final {
			c.refused(&taken, code, 0, "refused by the analyzer: "+string(m.Text))
		} else {
			c.failed(l, taken)
		}
	}
	switch code {
	case protocol.NackInvalid, protocol.NackTooLarge:
	case protocol.NackUnauthorized:
		c.giveUp(l, "analyzer says that we are unauthorized")
	case protocol.NackDraining:
		c.linkGoaway(l, protocol.GoawayDrain, "")
	default:
		l.pausedTill = c.now + max(min(m.RetryAfter, c.cfg.AckTimeout), c.cfg.HandOverSpan)
		c.spill(l) // it would wait behind the pause
	}
}

// takeWritten takes a written entry out of the stage without an ACK. Its
// number stays due until an ACK passes it.
func (l *Link) takeWritten(e *entry) entry {
	taken := *e
	e.flags |= entrySettled
	l.credit.Settled(1, int(e.size))
	l.stage.bytes -= int(e.size)
	l.live--
	return taken
}

// linkGoaway stops giving the link anything new; what was written may still
// be acknowledged, except after a fault.
func (c *Core) linkGoaway(l *Link, code protocol.GoawayCode, text string) {
	if code != protocol.GoawayDrain {
		c.giveUp(l, "analyzer said GOAWAY "+code.String()+": "+text)
		return
	}
	c.drainLink(l, "analyzer drains")
}

// drainLink lets a link finish what it was handed and has it closed then.
func (c *Core) drainLink(l *Link, reason string) {
	if l.draining {
		return
	}
	l.draining = true
	c.events = append(c.events, LinkEvent{Link: l, Change: LinkIsDraining, Reason: reason})
	c.reclaim(l, l.handed)
	c.drainQueue()
	if l.live == 0 {
		c.giveUp(l, "drained")
	}
}
