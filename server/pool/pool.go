// Package pool keeps every loop connected to every analyzer: it dials, backs
// off, and hands the connection to the loop that asked.
package pool

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	dialTimeout = 2 * time.Second
	firstPause  = 100 * time.Millisecond
	longPause   = 5 * time.Second
	// steadyAfter is how long a link must have carried data for its loss not
	// to lengthen the pause: a link that is lost at once would be redialled in
	// a circle otherwise.
	steadyAfter = 2 * time.Second
)

// Taker takes connections to an analyzer; a loop is one.
type Taker interface {
	AddLink(analyzer int, c net.Conn) error
}

// Target is one analyzer as the pool sees it.
type Target struct {
	Name string
	Addr string // host:port; the name is resolved anew at each dial
}

// Failed hears of each dial that failed. Must not block for long.
type Failed func(analyzer int, err error)

// Pool owns one dialling goroutine for each loop and analyzer.
// Safe for concurrent use.
type Pool struct {
	targets []Target
	failed  Failed
	lines   [][]*line // by loop, analyzer
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// line is one loop's connection to one analyzer, over its reconnects.
type line struct {
	lost chan struct{} // one slot: the connection that was handed over is gone

	mu      sync.Mutex
	readyAt time.Time // when the link last began to carry data; zero when it does not
	steady  bool      // the last link carried data for steadyAfter
}

// New makes a pool for the targets; Start begins to dial.
func New(targets []Target, failed Failed) *Pool {
	return &Pool{targets: targets, failed: failed}
}

// Start dials every target for every loop, in the background.
func (p *Pool) Start(loops []Taker) {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.lines = make([][]*line, len(loops))
	for i := range loops {
		p.lines[i] = make([]*line, len(p.targets))
		for a := range p.targets {
			p.lines[i][a] = &line{lost: make(chan struct{}, 1)}
		}
	}
	for i, taker := range loops {
		for a := range p.targets {
			p.done.Add(1)
			go p.keep(ctx, taker, a, p.lines[i][a])
		}
	}
}

// Ready tells that a loop's link carries data.
func (p *Pool) Ready(loop, analyzer int) {
	ln := p.lines[loop][analyzer]
	ln.mu.Lock()
	ln.readyAt = time.Now()
	ln.mu.Unlock()
}

// Lost tells that a loop's link has lost its connection.
func (p *Pool) Lost(loop, analyzer int) {
	ln := p.lines[loop][analyzer]
	ln.mu.Lock()
	ln.steady = !ln.readyAt.IsZero() && time.Since(ln.readyAt) >= steadyAfter
	ln.readyAt = time.Time{}
	ln.mu.Unlock()
	select {
	case ln.lost <- struct{}{}:
	default:
	}
}

// Stop ends dialling and waits for the dials under way.
func (p *Pool) Stop() {
	p.stop()
	p.done.Wait()
}

// keep dials until a connection stands, waits until it is lost, and again.
func (p *Pool) keep(ctx context.Context, taker Taker, analyzer int, ln *line) {
	defer p.done.Done()
	target := p.targets[analyzer]
	dialer := net.Dialer{Timeout: dialTimeout}
	pause := firstPause
	for ctx.Err() == nil {
		c, err := dialer.DialContext(ctx, "tcp", target.Addr)
		if err == nil {
			select { // of an earlier connection
			case <-ln.lost:
			default:
			}
			err = taker.AddLink(analyzer, c)
		}
		if err == nil {
			select {
			case <-ctx.Done():
				return
			case <-ln.lost:
			}
			ln.mu.Lock()
			if ln.steady {
				pause = firstPause
			}
			ln.mu.Unlock()
		} else if ctx.Err() == nil {
			p.failed(analyzer, fmt.Errorf("connect to %s: %w", target.Addr, err))
		}
		// Jitter of half either way, so that the loops of many distributors do
		// not all come back at once.
		t := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		pause = min(2*pause, longPause)
	}
}
