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

	"sluice/internal/dial"
)

const (
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second // between dials that fail
)

// Taker takes connections to an analyzer; a loop is one.
type Taker interface {
	AddLink(analyzer int, c net.Conn) error
	// RetireLink has the link settle what it was handed and closed then; Lost
	// follows.
	RetireLink(analyzer int, reason string)
}

// Target is one analyzer as the pool sees it. Immutable.
type Target struct {
	Name string
	Addr string // host:port; the name is resolved anew at each dial
}

// Failed hears of each dial that failed. Must not block for long.
type Failed func(analyzer int, err error)

// Pool owns one dialling goroutine for each loop and analyzer. An analyzer is
// known by its index; one without a target is not dialled.
// Safe for concurrent use.
type Pool struct {
	failed Failed
	dialer *dial.Dialer
	ctx    context.Context
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu      sync.RWMutex
	takers  []Taker
	targets []*Target // by analyzer; nil: none
	lines   [][]*line // by loop, analyzer
	flaps   []*flap   // by analyzer
}

// line is one loop's connection to one analyzer, over its reconnects.
type line struct {
	lost    chan struct{} // one slot: the connection that was handed over is gone
	changed chan struct{} // one slot: the target is another one

	flap *flap // of the analyzer

	mu     sync.Mutex
	target *Target // nil: nobody to dial
	ready  bool    // the link carried data
}

// New makes a pool for the targets; Start begins to dial.
func New(targets []Target, failed Failed) *Pool {
	p := &Pool{failed: failed}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.dialer = dial.New(p.ctx, dial.Limits{})
	for i := range targets {
		p.targets = append(p.targets, &targets[i])
	}
	return p
}

// Start dials every target for every loop, in the background.
func (p *Pool) Start(loops []Taker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.takers = loops
	p.lines = make([][]*line, len(loops))
	for a := range p.targets {
		p.extend(a)
	}
}

// extend makes the lines of the next analyzer. With p.mu.
func (p *Pool) extend(analyzer int) {
	f := &flap{lines: len(p.takers)}
	p.flaps = append(p.flaps, f)
	for i, taker := range p.takers {
		ln := &line{lost: make(chan struct{}, 1), changed: make(chan struct{}, 1), flap: f, target: p.targets[analyzer]}
		p.lines[i] = append(p.lines[i], ln)
		p.done.Go(func() { p.keep(taker, analyzer, ln) })
	}
}

// Set gives an analyzer another target, or none (nil), or adds the next one.
// Links to the target before are retired; the new one is dialled when they are
// gone.
func (p *Pool) Set(analyzer int, t *Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return
	}
	if analyzer == len(p.targets) {
		p.targets = append(p.targets, t)
		p.extend(analyzer)
		return
	}
	if before := p.targets[analyzer]; before == t || before != nil && t != nil && *before == *t {
		return
	}
	p.targets[analyzer] = t
	p.flaps[analyzer].forget()
	for i, taker := range p.takers {
		p.lines[i][analyzer].aim(t)
		taker.RetireLink(analyzer, retired(t))
	}
}

func retired(t *Target) string {
	if t == nil {
		return "removed from the configuration"
	}
	return "moved to " + t.Addr
}

// aim sets the target of a line.
func (ln *line) aim(t *Target) {
	ln.mu.Lock()
	ln.target = t
	ln.mu.Unlock()
	select {
	case ln.changed <- struct{}{}:
	default:
	}
}

func (ln *line) aimed() *Target {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return ln.target
}

func (p *Pool) line(loop, analyzer int) *line {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.lines[loop][analyzer]
}

// Ready tells that a loop's link carries data.
func (p *Pool) Ready(loop, analyzer int) {
	ln := p.line(loop, analyzer)
	ln.mu.Lock()
	ln.ready = true
	ln.mu.Unlock()
	ln.flap.ready(loop, time.Now())
}

// Lost tells that a loop's link has lost its connection.
func (p *Pool) Lost(loop, analyzer int) {
	ln := p.line(loop, analyzer)
	ln.flap.lost(loop, time.Now())
	select {
	case ln.lost <- struct{}{}:
	default:
	}
}

// Stop ends dialling and waits for the dials under way.
func (p *Pool) Stop() {
	p.mu.Lock() // no Set adds anybody to wait for from here on
	p.stop()
	p.mu.Unlock()
	p.done.Wait()
}

// keep dials until a connection stands, waits until it is lost, and again.
func (p *Pool) keep(taker Taker, analyzer int, ln *line) {
	pause := firstPause
	for p.ctx.Err() == nil {
		target := ln.aimed()
		if target == nil {
			select {
			case <-p.ctx.Done():
			case <-ln.changed:
				pause = firstPause
			}
			continue
		}
		wasReady, err := p.connect(taker, analyzer, ln, target)
		if wasReady {
			pause = firstPause
		}
		if err != nil && p.ctx.Err() == nil && ln.aimed() == target {
			p.failed(analyzer, fmt.Errorf("connect to %s: %w", target.Addr, err))
		}
		if p.ctx.Err() != nil || ln.aimed() != target {
			pause = firstPause
			continue
		}
		// Jitter of half either way, so that the loops of many distributors do
		// not all come back at once.
		t := time.NewTimer(max(pause/2+rand.N(pause), ln.flap.wait(time.Now())))
		select {
		case <-p.ctx.Done():
		case <-ln.changed:
			pause = firstPause
		case <-t.C:
			pause = min(2*pause, longPause)
		}
		t.Stop()
	}
}

// connect hands one connection over and waits until it is lost. It says whether
// the link carried data.
func (p *Pool) connect(taker Taker, analyzer int, ln *line, target *Target) (wasReady bool, err error) {
	c, err := p.dialer.Dial(p.ctx, target.Addr)
	if err != nil {
		return false, err
	}
	ln.mu.Lock()
	ln.ready = false
	ln.mu.Unlock()
	select { // of an earlier connection
	case <-ln.lost:
	default:
	}
	if err := taker.AddLink(analyzer, c); err != nil {
		return false, err
	}
	if ln.aimed() != target { // whoever changed it may have come too early to retire this link
		taker.RetireLink(analyzer, retired(ln.aimed()))
	}
	select {
	case <-p.ctx.Done():
	case <-ln.lost:
	}
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return ln.ready, nil
}
