package dispatch

import (
	"time"

	"sluice/protocol"
	"sluice/server/stage"
)

// Admit takes one complete data frame of a source with credit, header included,
// which needs a look of its own. A refusal goes to the source's owner. False: the
// sender is a whole window past its credit, and its connection should end. frame
// is borrowed.
func (c *Core) Admit(s *Source, frame []byte) bool {
	k := s.credit
	c.received(s, 1, len(frame))
	switch {
	case (s.number > k.advertisedFrames || s.bytes > k.advertisedBytes) && !s.mayPass():
		c.answerRefused(s, s.number, len(frame), protocol.NackBusy, "past the credit")
		return s.number <= k.advertisedFrames+uint64(c.cfg.SessionWindowFrames) &&
			s.bytes <= k.advertisedBytes+uint64(c.cfg.SessionWindowBytes)+uint64(c.cfg.MaxFrame)
	case c.draining:
		c.answerRefused(s, s.number, len(frame), protocol.NackDraining, "")
		return true
	case c.shortage && s.overShare():
		c.answerRefused(s, s.number, len(frame), protocol.NackBusy, "holds more than its fair share of a full queue")
		return true
	}
	if err := c.inspect.Scan(frame[protocol.HeaderSize:], &c.scanned); err != nil {
		c.answerRefused(s, s.number, len(frame), protocol.NackInvalid, err.Error())
		return true
	}
	c.count.ReceivedMessages += uint64(c.scanned.Messages)
	if !c.tryRoute(s, s.number, frame) {
		c.answerRefused(s, s.number, len(frame), protocol.NackBusy, "")
	}
	return true
}

// mayPass says that the frame just received may pass the credit: a sender with
// nothing unsettled may always send one frame. What counts is what it was told:
// frames that settle at once, being invalid, would else let one turn bring forth
// any number of answers.
func (s *Source) mayPass() bool { return s.unsettled == 0 && s.credit.acknowledged == s.number-1 }

// Arrived notes that bytes of the sender are here, so that it is not starved of
// credit.
func (s *Source) Arrived() { s.credit.arrive(s.core.now) }

// Refuse counts a data frame that came, of size bytes as far as they are known,
// and answers it.
func (c *Core) Refuse(s *Source, size int, code protocol.NackCode, text string) {
	c.received(s, 1, size)
	c.answerRefused(s, s.number, size, code, text)
}

// Submit dispatches a frame of a source without credit, which has passed the
// scan (messages is what it counted). It returns the frame's number, and not 0
// if it was refused, without a word to the owner. frame, header included, is
// borrowed.
func (c *Core) Submit(s *Source, frame []byte, messages int) (number uint64, code protocol.NackCode) {
	c.received(s, 1, len(frame))
	c.count.ReceivedMessages += uint64(messages)
	switch {
	case c.draining:
		code = protocol.NackDraining
	case c.shortage && s.overShare():
		code = protocol.NackBusy
	case c.cfg.Route != RouteWeighted && c.inspect.Scan(frame[protocol.HeaderSize:], &c.scanned) != nil:
		code = protocol.NackInvalid
	default:
		if c.tryRoute(s, s.number, frame) {
			return s.number, 0
		}
		code = protocol.NackBusy
	}
	c.count.reject(code)
	return s.number, code
}

// TryReserve takes places in the queue, and bytes of the budget, for frames that
// a core will Accept: who hands them in from another goroutine need not wait for
// the loop's word, because while frames may go to any analyzer, all that can be
// short is these. Waiting cost two switches between threads for each frame, and
// made the loop work, and write, for one frame at a time. False means that nothing
// was taken: busy. Safe for concurrent use.
func (sh *Shared) TryReserve(frames, bytes int) bool {
	if !sh.places.TryTake(frames) {
		return false
	}
	if !sh.Budget.TryTake(int64(bytes)) {
		sh.places.Give(frames)
		return false
	}
	return true
}

// Unreserve gives back what TryReserve took. Safe for concurrent use.
func (sh *Shared) Unreserve(frames, bytes int) {
	sh.places.Give(frames)
	sh.Budget.Give(int64(bytes))
}

// Filling says that half of the queue's places are taken: what holds one should
// not keep it without need. Safe for concurrent use.
func (sh *Shared) Filling() bool { return sh.places.Filled(1, 2) }

// Promises says whether frames may go to any analyzer, so that a reservation is
// all that they need.
func (cfg *Config) Promises() bool { return cfg.Route == RouteWeighted && !cfg.Strict }

// Accept dispatches count frames of a source without credit, which lie side by
// side, have passed the scan and were reserved: they are never refused, also in a
// drain. It returns the number of the first. frames is borrowed.
func (c *Core) Accept(s *Source, frames []byte, count, messages int) (first uint64) {
	first = s.number + 1
	c.received(s, count, len(frames))
	c.count.ReceivedMessages += uint64(messages)
	c.shared.Unreserve(count, len(frames))
	if count > 1 && !c.table.Empty() {
		sizes := c.dealing.sizes[:0]
		for at := 0; at < len(frames); {
			size := protocol.HeaderSize + int(protocol.FrameLength(frames[at:]))
			sizes = append(sizes, uint32(size))
			at += size
		}
		c.dealing.sizes = sizes
		c.drawHands(len(sizes))
		c.dealHands(s, first, frames, sizes, true)
		return first
	}
	for number := first; len(frames) > 0; number++ {
		size := protocol.HeaderSize + int(protocol.FrameLength(frames))
		if frame := frames[:size:size]; !c.tryRoute(s, number, frame) {
			// Somebody else took the place in between.
			c.enqueue(&c.queue, s, number, frame, !c.table.Empty(), false, true)
		}
		frames = frames[size:]
	}
	return first
}

// received counts data frames of so many bytes in all, whatever becomes of them.
func (c *Core) received(s *Source, frames, bytes int) {
	s.number += uint64(frames)
	s.bytes += uint64(bytes)
	c.count.Received += uint64(frames)
	c.count.ReceivedBytes += uint64(bytes)
}

// answerRefused answers a frame that was not admitted.
func (c *Core) answerRefused(s *Source, number uint64, size int, code protocol.NackCode, text string) {
	c.count.reject(code)
	retry := time.Duration(0)
	if code == protocol.NackBusy {
		retry = c.shared.RetryAfter()
	}
	if s.credit != nil {
		s.credit.settle(number, 1, size)
	}
	c.refusal = Refusal{Number: number, Code: code, RetryAfter: retry, Text: text}
	s.owner.Refused(&c.refusal)
}

// tryRoute admits a scanned frame: to the window of the picked link, of another
// one, or to the queue. False means that nothing changed: busy.
func (c *Core) tryRoute(s *Source, number uint64, frame []byte) bool {
	if c.table.Empty() {
		return c.tryEnqueue(&c.queue, s, number, frame, false)
	}
	return c.tryPlace(c.pick(s), s, number, frame)
}

// tryPlace admits a frame for which l was picked.
func (c *Core) tryPlace(l *Link, s *Source, number uint64, frame []byte) bool {
	if l.fits(len(frame)) {
		return c.tryStage(l, s, number, frame)
	}
	if c.cfg.Strict || c.cfg.Route != RouteWeighted {
		return c.tryEnqueue(&l.waiting, s, number, frame, true)
	}
	if other := c.anyFits(len(frame)); other != nil {
		if !c.tryStage(other, s, number, frame) {
			return false
		}
		c.count.Spilled++
		return true
	}
	if !c.tryEnqueue(&c.queue, s, number, frame, true) {
		return false
	}
	c.count.Spilled++ // whoever has room first will have it
	return true
}

func (c *Core) tryStage(l *Link, s *Source, number uint64, frame []byte) bool {
	e := stage.Entry{Number: number, Source: s.slot, At: c.nowMS}
	e.SetPicked()
	if !l.flight.TryAppend(frame, e) {
		return false
	}
	c.admitted(s, 1, len(frame))
	c.count.Analyzers[l.index].Dispatched++
	l.touch()
	return true
}

// tryEnqueue admits a frame that no link can take now. False when the queue or
// the budget is full.
func (c *Core) tryEnqueue(q *stage.WaitQueue, s *Source, number uint64, frame []byte, picked bool) bool {
	if !c.shared.places.TryTake(1) {
		return false
	}
	if !c.enqueue(q, s, number, frame, picked, true, false) {
		c.shared.places.Give(1)
		return false
	}
	return true
}

// enqueue copies a frame to the back of a queue. False when the budget is used
// up; with force it does not happen.
func (c *Core) enqueue(q *stage.WaitQueue, s *Source, number uint64, frame []byte, picked, reserved, force bool) bool {
	e := stage.Entry{Number: number, Source: s.slot, At: c.nowMS}
	if picked {
		e.SetPicked()
	}
	if !c.hold.TryAppend(q, frame, e, reserved, force) {
		return false
	}
	c.admitted(s, 1, len(frame))
	return true
}
