package deadletter

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
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

// Result is the fate of an offered frame. Neither delivered nor final: it is
// offered again. Immutable.
type Result struct {
	Delivered bool
	Final     bool // refused for ever
}

// Replay delivers waiting letters to t until ctx ends or the Store is closed:
// files one after the other, oldest first, with a bounded window of frames in
// flight; it pauses while t is not well or refuses. It does not wait for what
// is in flight in the end: outcomes that come before Close still count, others
// are repeated after a restart. One Replay runs at a time; another one waits.
func (s *Store) Replay(ctx context.Context, t Target) {
	s.replaying.Lock()
	defer s.replaying.Unlock()
	if s.delivery != nil { // of an earlier Replay
		s.delivery.settle(true, nil)
		s.delivery.end()
		s.delivery = nil
	}
	r := &replay{store: s, target: t, inspect: protocol.NewInspector(s.cfg.MaxFrame), done: ctx.Done()}
	for !r.over() {
		if !t.Well() {
			r.sleep(s.rhythm.poll, nil)
			continue
		}
		f, wait := s.next()
		if f == nil {
			r.tellEnd()
			r.sleep(wait, s.changed)
			continue
		}
		r.tellBegin()
		r.file(f)
	}
}

// replay is one call of Replay. Owned by its goroutine.
type replay struct {
	store   *Store
	target  Target
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

// sleep waits for d, for a signal or for the end.
func (r *replay) sleep(d time.Duration, news <-chan struct{}) {
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-news:
	case <-r.done:
	case <-r.store.stopping:
	}
}

// deliverable says whether an analyzer may be bothered with a frame. What lies
// on a disk can rot: a body that is no packet, and above all one that looks
// like a control frame, must not get on a link.
func (r *replay) deliverable(frame []byte) bool {
	body := frame[protocol.HeaderSize:]
	return len(body) <= r.store.cfg.MaxFrame && r.inspect.Scan(body, &r.scanned) == nil
}

// refused puts off the next offer, longer with each refusal in a row.
func (r *replay) refused() {
	if time.Now().Before(r.resumeAt) {
		return // others were in flight when the first one was refused
	}
	d := min(r.store.rhythm.offerRetryMax, r.store.rhythm.offerRetryMin<<min(r.refusals, 16))
	r.refusals++
	r.resumeAt = time.Now().Add(d/2 + rand.N(d/2+1))
}

// quiet is how long nothing must have waited before that is worth a line in
// the log: an analyzer that now and then drops a packet is not news each time.
const quiet = 10 * time.Second

func (r *replay) tellBegin() {
	r.emptyAt = time.Time{}
	if !r.busy {
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

// next returns the oldest file that can be delivered now, or how long to wait
// for one. When there is only what is still being appended to, it asks the
// writer to end that.
func (s *Store) next() (f *file, wait time.Duration) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = s.rhythm.sweep
	for _, f := range s.letters {
		if !f.sealed {
			if f.left > 0 && !s.wantSeal {
				s.wantSeal = true
				nudge(s.wake)
			}
			continue
		}
		if until := f.notBefore.Sub(now); until > 0 {
			wait = min(wait, until)
			continue
		}
		f.busy = true
		return f, 0
	}
	return nil, wait
}

// file delivers one file, until nothing is left of it, it cannot be read, or
// Replay ends.
func (r *replay) file(f *file) {
	s := r.store
	src, err := s.disk.open(filepath.Join(s.cfg.Dir, f.name))
	if errors.Is(err, fs.ErrNotExist) {
		s.deletedByHand(f)
		return
	}
	if err != nil {
		s.putOff(f, "cannot be opened", err)
		return
	}
	if f.unread {
		s.reread(f, src)
	}
	d := newDelivery(s, f, src)
	s.delivery = d
	if d.run(r) {
		s.delivery = nil
		d.end()
	}
}

// reread surveys a file that could not be opened before.
func (s *Store) reread(f *file, src source) {
	known := file{name: f.name, kind: f.kind, sequence: f.sequence, size: f.size}
	s.surveyor().read(&known, src, false)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.start, f.end, f.left, f.damaged, f.unread = known.start, known.end, known.left, known.damaged, false
}

// putOff lets a file wait that cannot be read or removed now; others go first.
func (s *Store) putOff(f *file, what string, err error) {
	s.mu.Lock()
	f.notBefore = time.Now().Add(putOffFor * s.rhythm.offerRetryMax)
	f.busy = false
	told := f.told
	f.told = true
	name := f.name
	s.mu.Unlock()
	if !told {
		s.warn("a dead-letter file "+what+"; others go first", name, "error", err)
	}
}

// putOffFor is how many of the longest pauses a file waits that failed.
const putOffFor = 6
