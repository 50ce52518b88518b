package deadletter

import (
	"context"
	"math/rand/v2"
	"time"

	"sluice/protocol"
)

// Target is who delivers dead letters. Safe for concurrent use.
type Target interface {
	// Well says whether it makes sense to offer anything.
	Well() bool
	// Offer hands over a frame, header included, which is borrowed until Offer
	// returns. An error means: not now. Otherwise done is called exactly once,
	// from any goroutine, perhaps before Offer returns; it does not block.
	Offer(frame []byte, done func(Result)) error
}

// Progress is a [Target] that also says how many packets it has delivered in
// all, letters or not. Without it, a letter that is alone in the folder has
// nothing to be compared with, and is tried for ever. Safe for concurrent use.
type Progress interface{ Delivered() uint64 }

// Result is the outcome of an offered frame. Neither delivered nor final: it is
// offered again. Immutable.
type Result struct {
	Delivered bool
	Final     bool   // refused permanently
	Reason    string // of a failure
}

// Replay delivers waiting letters to t until ctx ends or the Store is closed:
// the oldest first, with a bounded window of frames in flight. A letter that
// fails is put off while others go on; all wait while t is not well or refuses.
// It does not wait for what is in flight in the end: outcomes that come before
// Close still count, others are repeated after a restart. One Replay runs at a
// time; another one waits.
func (s *Store) Replay(ctx context.Context, t Target) {
	s.replaying.Lock()
	defer s.replaying.Unlock()
	r := &replay{store: s, target: t, inspect: protocol.NewInspector(s.cfg.MaxFrame), done: ctx.Done()}
	r.counts, _ = t.(Progress)
	d := s.delivery
	for !r.over() {
		d.drain(r)
		wait := d.fill(r)
		if d.idle() {
			r.tellEnd()
		} else {
			r.tellBegin()
		}
		r.wait(wait)
	}
	d.drain(r)
}

// replay is one call of Replay. Owned by its goroutine.
type replay struct {
	store   *Store
	target  Target
	counts  Progress // nil: it does not tell
	inspect *protocol.Inspector
	scanned protocol.Scanned
	done    <-chan struct{}

	refusals int       // consecutive, for the back-off
	resumeAt time.Time // nothing is offered before

	busy    bool      // letters wait, or did a moment ago; for the log
	before  uint64    // replayed when that began
	emptyAt time.Time // since when none waits; zero: some do
}

func (r *replay) over() bool {
	select {
	case <-r.done:
		return true
	case <-r.store.stopping:
		return true
	default:
		return false
	}
}

// wait waits for an outcome, for news, for the end, or for d.
func (r *replay) wait(d time.Duration) {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case e := <-r.store.delivery.events:
		r.store.delivery.heard = append(r.store.delivery.heard, e)
	case <-r.store.letters.Changed():
	case <-timer.C:
	case <-r.done:
	case <-r.store.stopping:
	}
}

// fault says why no analyzer may be bothered with a frame, or "". What lies on
// a disk may be of another configuration: a body that is not a packet, and above
// all one that looks like a control frame, must not get on a link.
func (r *replay) fault(frame []byte) string {
	body := frame[protocol.HeaderSize:]
	if len(body) > r.store.cfg.MaxFrame {
		return "larger than max-frame"
	}
	if err := r.inspect.Scan(body, &r.scanned); err != nil {
		return "not a packet: " + err.Error()
	}
	return ""
}

// progress is how many packets the target has delivered in all.
func (r *replay) progress() uint64 {
	if r.counts == nil {
		return 0
	}
	return r.counts.Delivered()
}

// pause puts off the next offer, longer with each refusal in a row.
func (r *replay) pause() {
	if time.Now().Before(r.resumeAt) {
		return // others were in flight when the first one was refused
	}
	r.resumeAt = time.Now().Add(jitter(r.store.rhythm.offerRetryMin, r.store.rhythm.offerRetryMax, r.refusals))
	r.refusals++
}

// jitter is a pause that doubles with each failure, less up to a half.
func jitter(least, most time.Duration, failures int) time.Duration {
	d := min(most, least<<min(failures, 16))
	return d/2 + rand.N(d/2+1)
}

// quiet is how long nothing must have waited before that is worth a line in
// the log: an analyzer that now and then drops a packet is not news each time.
const quiet = 10 * time.Second

func (r *replay) tellBegin() {
	r.emptyAt = time.Time{}
	if !r.busy && r.target.Well() {
		r.busy, r.before = true, r.store.replayed.Load()
		st := r.store.Status()
		r.store.log.Info("delivering dead letters", "packets", st.Packets, "oldest", st.OldestAt)
	}
}

func (r *replay) tellEnd() {
	switch {
	case !r.busy || r.store.Status().Packets > 0:
	case r.emptyAt.IsZero():
		r.emptyAt = time.Now()
	case time.Since(r.emptyAt) > quiet:
		r.busy = false
		r.store.log.Info("dead letters are delivered", "packets", r.store.replayed.Load()-r.before)
	}
}
