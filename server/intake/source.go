package intake

import (
	"net/netip"
	"sync/atomic"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// Keeper keeps the frames that the distributor answers for and that nobody takes.
// Safe for concurrent use; must not block.
type Keeper interface {
	// TryReserve reserves the places of frames of so many bytes in all.
	TryReserve(bytes int) bool
	// Release gives reserved bytes back: the frames were delivered, or not taken.
	Release(bytes int)
	// Put keeps a frame, header included, whose place was reserved. It is borrowed.
	// final: an analyzer has refused it permanently.
	Put(frame []byte, final bool)
}

// Run is the fate of consecutive frames of one batch.
type Run struct {
	First, Count int // the frames First … First+Count-1 of the batch, from 0
	Delivered    bool
	Kept         bool              // nobody took them, and the Keeper has them now
	Analyzer     int               // index, when delivered
	Code         protocol.NackCode // why not
	RetryAfter   time.Duration
	Reason       string // for people
}

// Final says that no analyzer will ever take the frames.
func (r *Run) Final() bool {
	return r.Code == protocol.NackInvalid || r.Code == protocol.NackTooLarge
}

// Hearer hears what became of a batch: of each of its frames exactly once, mostly
// from the loop's goroutine. It must not block.
type Hearer interface{ Settled(Run) }

// Verdict is what Submit says of a batch as a whole.
type Verdict uint8

// The verdicts.
const (
	Taken   Verdict = iota
	Wait            // there is no room now; the sender should come again after RetryAfter
	Refused         // see Code
)

// Answer is what Submit says. Code, Reason and RetryAfter matter only if the
// batch was not taken.
type Answer struct {
	Verdict    Verdict
	Code       protocol.NackCode
	Reason     string // for people; empty: the code says it
	RetryAfter time.Duration
}

// noPlace is the Reason where the Keeper has no place.
const noPlace = "busy: the dead-letter folder has no room to answer for this packet; see /health; send it again later"

// Source is one party that submits frames: the requests of one address, a
// connection of an input, the dead letters. Submit and Close are safe for
// concurrent use; the rest is the loop's.
type Source struct {
	in     *Intake
	keeper Keeper      // nil: nobody answers for its frames before they are delivered
	greedy atomic.Bool // holds more than its fair share while places are short

	closed  bool // guarded by in.mu
	party   dispatch.PartyKey
	source  *dispatch.Source // opened by the loop with the first batch
	watched bool             // is in the list of those that are judged
	heard   pendings
}

// NewSource makes a source for what comes from an address; zero: from this
// process. With a keeper the distributor answers for its frames: a batch is taken
// only if the keeper reserves its bytes.
func (in *Intake) NewSource(from netip.Addr, keeper Keeper) *Source {
	return &Source{in: in, keeper: keeper, party: dispatch.PartyKey{Addr: dispatch.PartyAddr(from)}}
}

// Submit gives count scanned frames, which lie side by side, headers included, to
// the loop; messages is what they hold in all. They are borrowed until Submit
// returns. If they are taken, hearer, which may be nil, hears what became of each.
//
// Where only the loop knows whether there is room, a batch must have one frame,
// and Submit waits for the loop's word.
func (s *Source) Submit(frames []byte, count, messages int, hearer Hearer) Answer {
	return s.reserve(len(frames), count, func(b *batch) {
		b.frames = append(b.frames[:0], frames...)
		b.messages, b.hearer = messages, hearer
	})
}

// SubmitBody is Submit for one frame that has no header yet.
func (s *Source) SubmitBody(body []byte, messages int, hearer Hearer) Answer {
	return s.reserve(protocol.HeaderSize+len(body), 1, func(b *batch) {
		b.frames = protocol.AppendFrame(b.frames[:0], body)
		b.messages, b.hearer = messages, hearer
	})
}

// reserve takes what a batch of so many bytes needs, has it filled, and posts it.
func (s *Source) reserve(bytes, count int, fill func(*batch)) Answer {
	in := s.in
	if s.keeper != nil && !s.keeper.TryReserve(bytes) {
		return Answer{Verdict: Wait, Code: protocol.NackBusy, Reason: noPlace, RetryAfter: time.Second}
	}
	code := s.tryPost(bytes, count, fill)
	if code == 0 {
		return Answer{}
	}
	if s.keeper != nil {
		s.keeper.Release(bytes)
	}
	a := Answer{Verdict: Refused, Code: code, RetryAfter: in.shared.RetryAfter()}
	if code == protocol.NackBusy {
		a.Verdict = Wait
	}
	return a
}

func (s *Source) tryPost(bytes, count int, fill func(*batch)) protocol.NackCode {
	in := s.in
	if in.promises && (s.greedy.Load() || !in.shared.TryReserve(count, bytes)) {
		return protocol.NackBusy
	}
	b := in.pool.Get().(*batch)
	fill(b)
	b.count, b.from, b.promised, b.code = count, s, in.promises, 0
	promised := b.promised // b is the loop's once it is posted
	if code := in.post(b); code != 0 {
		if promised {
			in.shared.Unreserve(count, bytes)
		}
		in.recycle(b)
		return code
	}
	if promised {
		return 0
	}
	<-b.decided
	code := b.code
	in.recycle(b)
	return code
}

// Close says that nothing more is submitted; who does so all the same is refused.
// What was taken is still settled, and heard of.
func (s *Source) Close() {
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if !s.closed {
		s.closed = true
		in.left = append(in.left, s)
	}
}

// dispatch gives a batch to the core. For the loop.
func (s *Source) dispatch(b *batch) {
	core := s.in.core
	if s.source == nil {
		s.source = core.OpenSource(s, dispatch.SourceConfig{Party: s.party, AnswersFor: s.keeper != nil})
	}
	s.heard.await(s.source.Number()+1, b.count, b.hearer)
	if b.promised {
		core.Accept(s.source, b.frames, b.count, b.messages)
		return
	}
	if _, b.code = core.Submit(s.source, b.frames, b.messages); b.code != 0 {
		s.heard.forgetLast(b.hearer)
	}
}

// abandon ends a promised batch that the loop never came to.
func (s *Source) abandon(b *batch) {
	run := Run{Count: b.count, Code: protocol.NackDraining}
	if s.keeper != nil {
		run.Kept = true
		for rest := b.frames; len(rest) > 0; {
			size := protocol.HeaderSize + int(protocol.FrameLength(rest))
			s.keeper.Put(rest[:size:size], false)
			rest = rest[size:]
		}
	}
	if b.hearer != nil {
		b.hearer.Settled(run)
	}
}

// Delivered is called by the core.
func (s *Source) Delivered(first, count uint64, analyzer, bytes int) {
	if s.keeper != nil {
		s.keeper.Release(bytes)
	}
	s.heard.settled(first, count, Run{Delivered: true, Analyzer: analyzer})
}

// Refused is called by the core.
func (s *Source) Refused(r *dispatch.Refusal) {
	if s.keeper != nil {
		s.keeper.Put(r.Frame, r.Final())
	}
	s.heard.settled(r.Number, 1, Run{Kept: s.keeper != nil, Code: r.Code, RetryAfter: r.RetryAfter, Reason: r.Text})
}

// Unsettled returns how many admitted frames have no answer yet. For the loop.
func (s *Source) Unsettled() int {
	if s.source == nil {
		return 0
	}
	return s.source.Unsettled()
}
