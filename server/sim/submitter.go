package sim

import (
	"fmt"
	"time"

	"sluice/server/intake"
)

// submitter sends packets by HTTP to whichever distributor answers: it asks
// for 202, or waits for the outcome. The HTTP itself is not modelled. Owned by
// the world.
type submitter struct {
	process
	index  int
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
	s := &submitter{index: index, wait: w.chance(0.4)}
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
	var todo []unsent
	for s.again.n > 0 {
		todo = append(todo, s.again.pop())
	}
	for n := min(s.burst, s.plan, 1000-len(todo)); n > 0; n-- {
		s.plan--
		s.open++
		todo = append(todo, unsent{id: s.w.oracle.make(s.source, s.w.knobs.drawClass(s.w))})
	}
	for len(todo) > 0 {
		n := s.batch(todo)
		s.submit(todo[:n])
		todo = todo[n:]
	}
}

// batch is how many packets the next request holds. Where a packet may not go to
// any analyzer, a batch is one.
func (s *submitter) batch(todo []unsent) int {
	w := s.w
	if !w.knobs.core.Promises() || w.chance(0.5) {
		return 1
	}
	most, n := 1+w.intN(min(64, len(todo))), 1
	for bytes := w.oracle.size(todo[0].id); n < most; n++ {
		if bytes += w.oracle.size(todo[n].id); bytes > w.knobs.letterBytes/4 || bytes > maxBatchBytes {
			break
		}
	}
	return n
}

const maxBatchBytes = 256 << 10

// submit is a request to a distributor.
func (s *submitter) submit(batch []unsent) {
	w, o := s.w, &s.w.oracle
	d := w.distributors[w.intN(len(w.distributors))]
	if !d.up || d.stopped || d.busy > w.now {
		s.retry(batch)
		return
	}
	ids := make([]packetID, len(batch))
	for i := range batch {
		u := &batch[i]
		if ids[i] = u.id; u.moved {
			o.excuse(u.id)
			u.moved = false // once is enough, taken or not
		}
	}
	told := d.name + "'s HTTP client"
	var done func(int, delivery)
	if s.wait {
		done = func(i int, how delivery) {
			switch id := ids[i]; {
			case how.crashed:
				s.again.push(unsent{id, true})
			case how.delivered:
				o.acknowledged(id, told)
				s.open--
			default:
				o.accepted(id, told)
				s.open--
			}
		}
	}
	switch taken := d.submit(d.nextLoop().client(s), true, ids, done); {
	case taken != intake.Taken:
		s.retry(batch)
	case !s.wait:
		for _, id := range ids {
			o.accepted(id, told)
			s.open--
		}
	}
}

// retry has a batch sent again.
func (s *submitter) retry(batch []unsent) {
	for _, u := range batch {
		s.again.push(u)
	}
}
