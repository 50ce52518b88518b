package sim

import "time"

// event is something that happens at a moment. Events of one moment happen in
// the order in which they were scheduled.
type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

// schedule is a binary heap of events. Owned by the world.
type schedule struct {
	heap []event
	seq  uint64
}

func (s *schedule) push(at time.Duration, do func()) {
	s.seq++
	e := event{at: at, seq: s.seq, do: do}
	i := len(s.heap)
	s.heap = append(s.heap, e)
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&s.heap[up]) {
			break
		}
		s.heap[i] = s.heap[up]
		i = up
	}
	s.heap[i] = e
}

func (s *schedule) pop() event {
	top := s.heap[0]
	n := len(s.heap) - 1
	e := s.heap[n]
	s.heap[n] = event{}
	s.heap = s.heap[:n]
	i := 0
	for {
		down := 2*i + 1
		if down >= n {
			break
		}
		if down+1 < n && s.heap[down+1].before(&s.heap[down]) {
			down++
		}
		if !s.heap[down].before(&e) {
			break
		}
		s.heap[i] = s.heap[down]
		i = down
	}
	if n > 0 {
		s.heap[i] = e
	}
	return top
}
