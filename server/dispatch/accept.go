package dispatch

// Who hands in a frame from another goroutine need not wait for the loop to say
// yes: while frames may go to any analyzer, all that can be short is a place in
// the queue and bytes of the budget, and both are counted for all loops. So they
// are taken first, the frame is promised, and the loop gets it when it comes to
// it. Waiting for its word cost two switches between threads for each frame, and
// made the loop work, and write, for one frame at a time.

// TryReserve takes a place in the queue, and so many bytes of the budget, for a
// frame that a core will accept. False means that nothing was taken: busy. Safe
// for concurrent use.
func (sh *Shared) TryReserve(size int) bool {
	if sh.queued.Add(1) <= sh.maxQueued.Load() && sh.budget.tryTake(int64(size)) {
		return true
	}
	sh.queued.Add(-1)
	return false
}

// Filling says that half of the queue's places are taken: what holds one should
// not keep it without need. Safe for concurrent use.
func (sh *Shared) Filling() bool { return 2*sh.queued.Load() >= sh.maxQueued.Load() }

// Unreserve gives back what TryReserve took. Safe for concurrent use.
func (sh *Shared) Unreserve(size int) {
	sh.queued.Add(-1)
	sh.budget.give(int64(size))
}

// Accept dispatches a frame of an observed session that has passed the scan,
// and whose place was reserved: it is never refused, also in a drain. It returns
// the frame's number. frame, header included, is borrowed.
func (c *Core) Accept(s *Session, frame []byte, messages int) (number uint64) {
	c.submitted(s, frame, messages)
	c.shared.Unreserve(len(frame))
	if !c.tryPlace(s, s.number, frame) {
		// Somebody else took the place in between.
		c.shared.queued.Add(1)
		var flags uint8
		if !c.table.Empty() {
			flags = entryPicked
		}
		c.pushQueue(&c.queue, s, s.number, frame, flags, true)
	}
	return s.number
}

// Greedy says that a session holds more than its part while places are short:
// what it is to hand in should be refused.
func (c *Core) Greedy(s *Session) bool { return c.shortage() && c.overPart(s) }

// submitted counts a frame that comes without a wire.
func (c *Core) submitted(s *Session, frame []byte, messages int) {
	c.received(s, 1, len(frame))
	c.count.ReceivedMessages += uint64(messages)
}
