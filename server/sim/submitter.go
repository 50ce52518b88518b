package sim

import (
	"fmt"
	"time"
)

// submitter sends packets by HTTP to whichever distributor answers: it asks
// for 202, or waits for the outcome. The HTTP itself is not modelled. Owned by
// the world.
type submitter struct {
	process
	source int32
	plan   int
	gap    time.Duration
	burst  int
	pace   int // what an earlier pace scheduled is void
	open   int // without a fate
	again  deque[unsent]
	wait   bool
}

func newSubmitter(w *World, index int) *submitter {
	k := &w.knobs
	s := &submitter{wait: w.chance(0.4)}
	s.init(w, fmt.Sprintf("submitter %d", index))
	s.source = w.oracle.newSource(fmt.Sprintf("h%d", index), k.sizes)
	s.plan = k.packets / (k.agents + k.submitters)
	s.burst = 1 + w.intN(k.burst)
	s.gap = k.chaos * time.Duration(s.burst) / time.Duration(s.plan+1)
	return s
}

func (s *submitter) start() {
	s.live()
	s.setPace(s.plan, s.burst, s.gap)
}

func (s *submitter) idle() bool { return s.plan == 0 && s.open == 0 }

// setPace makes plan more packets, burst of them each gap or so.
func (s *submitter) setPace(plan, burst int, gap time.Duration) {
	s.pace++
	s.plan, s.burst, s.gap = plan, burst, gap
	pace := s.pace
	s.after(s.w.upTo(gap), func() { s.produce(pace) })
}

func (s *submitter) produce(pace int) {
	if pace != s.pace {
		return
	}
	if !s.idle() {
		gap := s.gap
		if s.again.n > 0 || s.plan == 0 {
			gap = min(gap, 100*time.Millisecond) // as a Retry-After would say
		}
		s.after(gap/2+s.w.upTo(gap), func() { s.produce(pace) })
	}
	for n := s.again.n; n > 0; n-- {
		s.submit(s.again.pop())
	}
	for n := min(s.burst, s.plan, 1000-s.again.n); n > 0; n-- {
		s.plan--
		s.open++
		s.submit(unsent{id: s.w.oracle.make(s.source, s.w.knobs.drawClass(s.w))})
	}
}

// submit is a POST to a distributor, and node.Submit there.
func (s *submitter) submit(u unsent) {
	w, o := s.w, &s.w.oracle
	d := w.distributors[w.intN(len(w.distributors))]
	size := o.size(u.id)
	if !d.up || d.stopped || d.busy > w.now || d.draining || !d.letters.tryReserve(size) {
		s.again.push(u)
		return
	}
	if u.moved {
		o.excuse(u.id)
	}
	told := d.name + "'s HTTP client"
	code := d.nextLoop().owned.post(u.id, func(how delivery) {
		switch {
		case how.delivered && s.wait:
			o.acknowledged(u.id, told)
			s.open--
		case how.kept && s.wait:
			o.accepted(u.id, told)
			s.open--
		case how.crashed && s.wait:
			s.again.push(unsent{u.id, true})
		}
	})
	switch {
	case code != 0:
		d.letters.release(size)
		s.again.push(u)
	case !s.wait:
		o.accepted(u.id, told)
		s.open--
	}
}
