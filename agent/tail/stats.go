package tail

import (
	"sync"
	"time"
)

// Stat is how far one file is.
type Stat struct {
	Path       string  `json:"path"`
	ID         string  `json:"id"`
	Size       int64   `json:"size_bytes"`
	Read       int64   `json:"read_bytes"`       // offset up to which it was read
	Acked      int64   `json:"acked_bytes"`      // offset up to which everything was delivered
	LagBytes   int64   `json:"lag_bytes"`        // size − acked − unfinished
	LagSeconds float64 `json:"lag_seconds"`      // since the first byte of the lag was seen; 0: there is none
	Unfinished int64   `json:"unfinished_bytes"` // of the last line, which has no end yet and is not sent before it has
	State      string  `json:"state"`            // one of States
}

// The states of a file: as it should be; renamed away from every pattern, and
// still read; maybe a copy of one that is followed, which is found out;
// refused by the receiver.
const (
	following = "following"
	rotated   = "rotated"
	mayBeCopy = "copy?"
	refused   = "refused"
)

// States are all that Stat.State can be.
func States() []string { return []string{following, rotated, mayBeCopy, refused} }

// Stats tells how far each file is. The position and the state are those of the
// last turn.
func (t *Tailer) Stats() []Stat {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Stat, 0, len(t.files))
	for _, f := range t.files {
		out = append(out, f.stat(now))
	}
	return out
}

// Totals are sums over the files that are followed.
func (t *Tailer) Totals() (size, acked int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.files {
		size += f.size.Load()
		acked += f.ledger.progress().acked
	}
	return size, acked
}

func (f *File) stat(now time.Time) Stat {
	pr := f.ledger.progress()
	v := f.view.Load()
	s := Stat{Path: v.path, ID: f.id, Size: f.size.Load(), Read: pr.acked + pr.unsettled, Acked: pr.acked, State: v.state}
	s.Unfinished = min(v.unfinished, max(s.Size-s.Read, 0))
	s.LagBytes = max(s.Size-s.Acked-s.Unfinished, 0)
	switch {
	case s.LagBytes == 0:
	case !pr.oldest.IsZero():
		s.LagSeconds = now.Sub(pr.oldest).Seconds()
	default:
		s.LagSeconds = now.Sub(v.noticed).Seconds()
	}
	if pr.refusal.code != 0 {
		s.State = refused
	}
	return s
}

// view is what statistics show of a file's own fields. Immutable.
type view struct {
	path, state string
	noticed     time.Time
	unfinished  int64
}

// show publishes the file's view if it has changed.
func (f *File) show() {
	v := view{path: f.path, state: following, noticed: f.noticed}
	if size := f.size.Load(); f.tried == size && f.pos < size {
		v.unfinished = size - f.pos
	}
	switch {
	case f.doubt != nil:
		v.state = mayBeCopy
	case !f.unmatched.IsZero():
		v.state = rotated
	}
	if old := f.view.Load(); old == nil || *old != v {
		f.view.Store(&v)
	}
}

// Limiter is a budget of bytes per second for all inputs. Safe for concurrent
// use; nil has no limit.
type Limiter struct {
	mu    sync.Mutex
	rate  float64 // bytes per second
	have  float64
	since time.Time
}

// NewLimiter returns a limiter of that many bytes per second; nil for 0.
func NewLimiter(bytesPerSecond int) *Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	return &Limiter{rate: float64(bytesPerSecond)}
}

// Wait returns how long to wait, from now on, before the next packet. A packet may overdraw
// the budget, which then takes as long to recover.
func (l *Limiter) Wait(now time.Time) time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.since.IsZero() {
		l.have = min(l.have+now.Sub(l.since).Seconds()*l.rate, l.rate/10)
	}
	l.since = now
	if l.have >= 0 {
		return 0
	}
	return max(time.Duration(-l.have/l.rate*float64(time.Second)), time.Millisecond)
}

// Take counts bytes that were read.
func (l *Limiter) Take(n int) {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.have -= float64(n)
	l.mu.Unlock()
}
