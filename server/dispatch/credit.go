package dispatch

import (
	"time"

	"sluice/protocol"
)

// What a sender is allowed to have on its way: the credit in its ACKs.
//
// A window of 4,096 frames for everybody is simple, and as long as few senders
// are busy it is right. But what they all have on the way lies here, and the
// sum of the windows has nothing to do with what the analyzers need to be kept
// busy. A hundred senders without end had 400,000 frames here: more than all
// stages hold, so that one frame in twenty was answered busy, each waited a third
// of a second, and none of their bytes was in the processor's cache when its time
// came.
//
// So the senders share what is needed. The need of a core is the product of
// rate and delay (twice it, so that it is never what holds things up): frames
// that its analyzers acknowledge in their shortest round trip; and HeldFrames
// at least, below which the reads and writes get small. A sender's part of it
// is the same for all that have something here, and is the least of its window.
// That is enough for one that is near. Of one that is far away nothing is here
// for most of the time, because its window is on the road. So a window is
// judged once for each window's worth that settled: if the session was dry for a
// quarter of the time it is doubled, up to the full one; if for less than an
// eighth, halved, down to the part. Windows only say how the credit grows; what
// was told is never taken back.
//
// The shortest round trip is that of the link's connection so far. Over a recent
// time only, it would contain the wait in a queue that never empties, which it is
// there to shorten.

// part is how many frames a sender may have here while all that have any
// share what is needed.
func (c *Core) part() int {
	return min(max(c.need/max(c.active, 1), minPart), c.cfg.SessionWindowFrames)
}

// minPart is the least part of a session, in frames: thousands of busy senders
// are better served in small pieces than in single frames.
const minPart = 16

// measureNeed renews what the links need to be kept busy.
func (c *Core) measureNeed() {
	frames := 0.0
	for _, l := range c.links {
		if l.state == linkReady && l.shortest > 0 {
			rate := float64(l.rate.recent(c.now, c.cfg.HandOverSpan)) / float64(c.cfg.HandOverSpan)
			frames += 2 * rate * float64(l.shortest)
		}
	}
	c.need = max(c.cfg.HeldFrames, int(frames))
}

// noteRoundTrip takes the time between a write to a link and the ACK of its
// last frame.
func (l *Link) noteRoundTrip(d time.Duration) {
	if d = max(d, 1); l.shortest == 0 || d < l.shortest {
		l.shortest = d
	}
}

// wet notes that frames of a session arrive, fitWindow that it has none: in
// between it is dry.
func (c *Core) wet(s *Session) {
	if s.drySince != 0 {
		s.dry += c.now - s.drySince
		s.drySince = 0
	}
}

// fitWindow judges a session's window after frames of it have settled.
func (c *Core) fitWindow(s *Session) {
	if s.unsettled == 0 && s.drySince == 0 {
		s.drySince = c.now
	}
	settled := s.seq.Settled()
	if settled < s.judgeAt {
		return
	}
	dry, all := s.dry, c.now-s.judgedAt
	switch {
	case 4*dry >= all:
		s.window *= 2
	case 8*dry < all:
		s.window /= 2
	}
	s.window = min(max(s.window, c.part()), c.cfg.SessionWindowFrames)
	s.judgeAt, s.judgedAt, s.dry = settled+uint64(s.window), c.now, 0
}

// appendAck appends the ACK that a session is due, if it is due one.
func (c *Core) appendAck(out []byte, s *Session) []byte {
	c.fitWindow(s)
	n := s.seq.UpTo()
	frames, bytes := c.credit(s)
	more := frames > s.creditFrames || bytes > s.creditBytes
	enough := frames-s.creditFrames >= uint64(s.window/4) || bytes-s.creditBytes >= c.windowBytes(s)/4
	if n == s.told && !(more && (enough || c.stuck(s))) {
		return out
	}
	s.told, s.creditFrames, s.creditBytes = n, frames, bytes
	return protocol.AppendAck(out, n, frames, bytes)
}

// stuck says that the sender may have used up its credit, as far as it was told.
func (c *Core) stuck(s *Session) bool {
	return s.number >= s.creditFrames || s.bytes+uint64(c.cfg.MaxFrame) > s.creditBytes
}

// credit returns what the sender may have sent in all: what has settled, in
// whatever order, plus its window; never less than it was told before.
func (c *Core) credit(s *Session) (frames, bytes uint64) {
	frames = s.seq.Settled() + uint64(s.window)
	// One window past the credit is still answered, and must fit the bitmap.
	if most := s.seq.UpTo() + protocol.MaxCreditSpan - uint64(c.cfg.SessionWindowFrames); frames > most {
		frames = most
	}
	bytes = s.settledSize + c.windowBytes(s)
	return max(frames, s.creditFrames), max(bytes, s.creditBytes)
}

// windowBytes is the window in bytes: as much of the full one as the window in
// frames is of its full one.
func (c *Core) windowBytes(s *Session) uint64 {
	return uint64(c.cfg.SessionWindowBytes) * uint64(s.window) / uint64(c.cfg.SessionWindowFrames)
}
