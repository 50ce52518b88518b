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
// windows hold, so that one frame in twenty was answered busy, each waited a third
// of a second, and none of their bytes was in the processor's cache when its time
// came.
//
// So the senders share what is needed. The need of a core is twice the
// bandwidth-delay product of its analyzers: frames that they acknowledge in
// their shortest round trip, doubled so that it is never what holds things up;
// and HeldFrames at least, below which the reads and writes get small. A
// sender's fair share of it is the same for all that have something here, and is
// the least of its window. That is enough for one that is near. Of one that is
// far away nothing is here for most of the time, because its window is in
// transit. So a window is judged once for each window's worth that settled: if
// the source was starved of credit for a quarter of the time it is doubled, up to
// the full one; if for less than an eighth, halved, down to the fair share.
// Windows only say how the credit grows; what was advertised is never taken back.
//
// The shortest round trip is that of the link's connection so far. Over a recent
// time only, it would contain the wait in a queue that never empties, which it is
// there to shorten.

// Credit is the receiver's side of one sender's window: what is settled, and
// what was advertised. Owned by one loop.
type Credit struct {
	ack          protocol.AckSequence
	settledBytes uint64

	window         int           // frames beyond what has settled
	judgeAt        uint64        // the window is judged again when so many frames have settled
	windowJudgedAt time.Duration // when it was judged last
	starved        time.Duration // for how long since then nothing of the sender was here
	starvedSince   time.Duration // and since when now; 0: something is here

	advertisedFrames, advertisedBytes uint64
	acknowledged                      uint64 // n of the last ACK
}

func newCredit(cfg *Config, now time.Duration) *Credit {
	return &Credit{window: cfg.SessionWindowFrames, judgeAt: uint64(cfg.SessionWindowFrames), windowJudgedAt: now, starvedSince: now,
		advertisedFrames: protocol.FirstCreditFrames, advertisedBytes: protocol.FirstCreditBytes}
}

// settle marks frames as settled.
func (k *Credit) settle(first, count uint64, bytes int) {
	k.ack.SettleRun(first, count)
	k.settledBytes += uint64(bytes)
}

// arrive notes that frames of the sender are here.
func (k *Credit) arrive(now time.Duration) {
	if k.starvedSince != 0 {
		k.starved += now - k.starvedSince
		k.starvedSince = 0
	}
}

// windowBytes is the window in bytes: as much of the full one as the window in
// frames is of its full one.
func (k *Credit) windowBytes(cfg *Config) uint64 {
	return uint64(cfg.SessionWindowBytes) * uint64(k.window) / uint64(cfg.SessionWindowFrames)
}

// grant returns what the sender may have sent in all: what has settled, in
// whatever order, plus its window; never less than was advertised before.
func (k *Credit) grant(cfg *Config) (frames, bytes uint64) {
	frames = k.ack.Settled() + uint64(k.window)
	// One window past the credit is still answered, and must fit the bitmap.
	if most := k.ack.UpTo() + protocol.MaxCreditSpan - uint64(cfg.SessionWindowFrames); frames > most {
		frames = most
	}
	bytes = k.settledBytes + k.windowBytes(cfg)
	return max(frames, k.advertisedFrames), max(bytes, k.advertisedBytes)
}

// Ack is what an ACK says.
type Ack struct{ N, Frames, Bytes uint64 }

// FirstCredit returns the credit of the WELCOME.
func (s *Source) FirstCredit() (frames, bytes uint64) {
	k := s.credit
	k.advertisedFrames, k.advertisedBytes = k.grant(&s.core.cfg)
	return k.advertisedFrames, k.advertisedBytes
}

// NextAck returns the ACK that the sender is due. False: none is.
func (s *Source) NextAck() (Ack, bool) {
	k, cfg := s.credit, &s.core.cfg
	s.fitWindow()
	n := k.ack.UpTo()
	frames, bytes := k.grant(cfg)
	more := frames > k.advertisedFrames || bytes > k.advertisedBytes
	enough := frames-k.advertisedFrames >= uint64(k.window/4) || bytes-k.advertisedBytes >= k.windowBytes(cfg)/4
	if n == k.acknowledged && !(more && (enough || s.OutOfCredit())) {
		return Ack{}, false
	}
	k.acknowledged, k.advertisedFrames, k.advertisedBytes = n, frames, bytes
	return Ack{N: n, Frames: frames, Bytes: bytes}, true
}

// OwesAck says that frames have settled which no ACK has passed.
func (s *Source) OwesAck() bool { return s.credit.ack.UpTo() != s.credit.acknowledged }

// OutOfCredit says that the sender may have used up its credit, as far as it was
// advertised.
func (s *Source) OutOfCredit() bool {
	k := s.credit
	return s.number >= k.advertisedFrames || s.bytes+uint64(s.core.cfg.MaxFrame) > k.advertisedBytes
}

// fitWindow judges the window after frames have settled.
func (s *Source) fitWindow() {
	k, c := s.credit, s.core
	if s.unsettled == 0 && k.starvedSince == 0 {
		k.starvedSince = c.now
	}
	settled := k.ack.Settled()
	if settled < k.judgeAt {
		return
	}
	switch all := c.now - k.windowJudgedAt; {
	case 4*k.starved >= all:
		k.window *= 2
	case 8*k.starved < all:
		k.window /= 2
	}
	k.window = min(max(k.window, c.fairWindow()), c.cfg.SessionWindowFrames)
	k.judgeAt, k.windowJudgedAt, k.starved = settled+uint64(k.window), c.now, 0
}

// fairWindow is how many frames a sender may have here while all that have any
// share what is needed.
func (c *Core) fairWindow() int {
	return min(max(c.neededNow/max(c.active, 1), minFairWindow), c.cfg.SessionWindowFrames)
}

// minFairWindow is the least fair share of a sender, in frames: thousands of busy
// senders are better served in small pieces than in single frames.
const minFairWindow = 16

// measureNeed renews what the links need to be kept busy.
func (c *Core) measureNeed() {
	frames := 0.0
	for _, l := range c.links {
		frames += 2 * l.bandwidthDelay()
	}
	c.neededNow = max(c.cfg.HeldFrames, int(frames))
}
