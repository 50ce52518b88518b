package dispatch

import (
	"time"

	"sluice/protocol"
	"sluice/server/route"
)

// Owner is who hands in the frames of a source and hears what became of them:
// an agent's wire, or an intake. It is called by the loop and must not block. Of
// each number it hears exactly once, in whatever order.
type Owner interface {
	// Delivered: the analyzer of this index acknowledged the count frames from
	// number first on, of so many bytes in all, headers included.
	Delivered(first, count uint64, analyzer, bytes int)
	// Refused: a frame is answered otherwise. If the distributor answers for the
	// source's frames and had admitted this one, the owner keeps it.
	Refused(*Refusal)
}

// Refusal is the answer to a frame that was not delivered. Borrowed for the
// call of Owner.Refused.
type Refusal struct {
	Number     uint64
	Code       protocol.NackCode
	RetryAfter time.Duration
	Text       string
	Frame      []byte // header included; nil if the frame was never admitted
}

// Final says that no analyzer will ever take the frame.
func (r *Refusal) Final() bool {
	return r.Code == protocol.NackInvalid || r.Code == protocol.NackTooLarge
}

// Source is one party's stream of data frames, numbered from 1: an agent's
// connection, or one of the intake's. It outlives its connection until its last
// frame is settled, and only then is its slot given to another, so that an answer
// can never reach a stranger. Owned by one loop.
type Source struct {
	owner      Owner
	core       *Core
	party      *party
	credit     *Credit // nil: the owner is bounded otherwise
	answersFor bool
	closed     bool
	slot       uint32

	number    uint64 // data frames received
	bytes     uint64 // of data frames received, headers included
	unsettled int    // admitted and not answered

	sticky stickyPick
}

// SourceConfig says what kind of source it is. Immutable.
type SourceConfig struct {
	Party PartyKey
	// Credit: the sender is told how much it may send, and hears cumulative ACKs.
	Credit bool
	// AnswersFor: the distributor answers for the frames (202). One that nobody
	// takes is kept by the owner, and not rejected.
	AnswersFor bool
}

// stickyPick is the last pick by agent_id. A source nearly always has one
// agent_id, and comparing a key costs less than hashing it once for each analyzer.
type stickyPick struct {
	table *route.Table
	key   []byte
	to    int
}

// OpenSource makes a source of an owner.
func (c *Core) OpenSource(o Owner, cfg SourceConfig) *Source {
	s := &Source{owner: o, core: c, answersFor: cfg.AnswersFor}
	if cfg.Credit {
		s.credit = newCredit(&c.cfg, c.now)
	}
	c.sources.add(s)
	s.party = c.parties.enter(cfg.Party)
	return s
}

// Close tells that no frames come any more and, unless we answer for them, that
// nobody is left to hear of those that were admitted. They are still delivered.
func (s *Source) Close() {
	if !s.closed {
		s.closed = true
		s.core.retire(s)
	}
}

// Number returns how many data frames were received, which is the number of the
// last one.
func (s *Source) Number() uint64 { return s.number }

// Unsettled returns how many admitted frames have no answer yet.
func (s *Source) Unsettled() int { return s.unsettled }

// TryCharge charges bytes that are held for the source's sender, beside its
// frames, to the byte budget. False means that nothing was charged.
func (s *Source) TryCharge(bytes int64) bool {
	if !s.core.shared.Budget.TryTake(bytes) {
		return false
	}
	s.party.charge(bytes)
	return true
}

// Charge charges bytes also past the budget.
func (s *Source) Charge(bytes int64) {
	s.core.shared.Budget.Take(bytes)
	s.party.charge(bytes)
}

// Discharge gives charged bytes back.
func (s *Source) Discharge(bytes int64) {
	s.core.shared.Budget.Give(bytes)
	s.party.charge(-bytes)
	s.core.parties.prune(s.party)
}

// sources finds a source by its slot, which entries hold. Owned by one loop.
type sources struct {
	all  []*Source
	free []uint32
}

func (t *sources) add(s *Source) {
	if n := len(t.free); n > 0 {
		s.slot = t.free[n-1]
		t.free = t.free[:n-1]
		t.all[s.slot] = s
		return
	}
	s.slot = uint32(len(t.all))
	t.all = append(t.all, s)
}

// retire frees the slot of a source that is closed and has nothing unsettled.
func (c *Core) retire(s *Source) {
	if s.closed && s.unsettled == 0 && c.sources.all[s.slot] == s {
		c.sources.all[s.slot] = nil
		c.sources.free = append(c.sources.free, s.slot)
		c.parties.leave(s.party)
	}
}

// admitted and answered keep the sums of what a source holds here.
func (c *Core) admitted(s *Source, frames, bytes int) {
	if s.unsettled == 0 {
		c.active++
	}
	s.party.hold(s.unsettled == 0, frames, int64(bytes))
	s.unsettled += frames
}

func (c *Core) answered(s *Source, frames, bytes int) {
	s.unsettled -= frames
	if s.unsettled == 0 {
		c.active--
	}
	s.party.let(s.unsettled == 0, frames, int64(bytes))
}
