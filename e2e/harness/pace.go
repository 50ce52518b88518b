package harness

import (
	"sync"
	"time"
)

// paceSlack is how far a paced fake may be ahead before it waits: sleeping is no
// exacter than that.
const paceSlack = 5 * time.Millisecond

// paceBacklog is how far a fake that was held up by a busy machine catches up.
const paceBacklog = 250 * time.Millisecond

// pace gives out moments at which packets may be taken, as a server does that
// needs the same time for each. Safe for concurrent
// use.
type pace struct {
	mu    sync.Mutex
	every time.Duration // 0: no limit
	next  time.Time
}

func (p *pace) set(rate float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.every, p.next = 0, time.Time{}
	if rate > 0 {
		p.every = time.Duration(float64(time.Second) / rate)
	}
}

// take reserves the next moment and returns how far off it is.
func (p *pace) take() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.every == 0 {
		return 0
	}
	now := time.Now()
	if idle := now.Add(-paceBacklog); p.next.Before(idle) {
		p.next = idle
	}
	p.next = p.next.Add(p.every)
	return max(0, p.next.Sub(now))
}
