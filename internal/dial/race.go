package dial

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// race tries the addresses of a name, the next one each time an attempt has
// failed or has taken for stagger, until one is connected. Addresses may join
// while it runs. Owned by one goroutine.
type race struct {
	ctx    context.Context
	cancel context.CancelFunc
	dialer *net.Dialer
	port   uint16
	lookup *lookup
	name   *name

	queue   [families][]netip.Addr
	next    family // whose turn it is
	tried   map[netip.Addr]bool
	running int
	results chan result
	ended   sync.WaitGroup
	errs    []error

	asked [families]<-chan struct{} // nil: has answered
	held  bool                      // IPv4 waits for the answer about IPv6
}

type result struct {
	c   net.Conn
	err error
}

func newRace(ctx context.Context, dialer *net.Dialer, port uint16, l *lookup, n *name) *race {
	r := &race{dialer: dialer, port: port, lookup: l, name: n, tried: make(map[netip.Addr]bool), results: make(chan result)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	for f := range families {
		r.asked[f] = l.done[f]
	}
	r.held = true
	return r
}

func (r *race) run() (net.Conn, error) {
	defer r.ended.Wait() // attempts that have lost close what they have
	defer r.cancel()
	delay, known, pace := stopped(), time.NewTimer(knownAfter), stopped()
	defer delay.Stop()
	defer known.Stop()
	defer pace.Stop()
	due := true // the next attempt may begin
	for {
		if due && r.start() {
			due = false
			pace.Reset(stagger)
		}
		if r.over() {
			return nil, r.failure()
		}
		select {
		case <-r.asked[v6]:
			r.answered(v6)
			r.held = false
		case <-r.asked[v4]:
			r.answered(v4)
			delay.Reset(resolutionDelay)
		case <-delay.C:
			r.held = false
		case <-known.C:
			r.recall()
			r.held = false
		case <-pace.C:
			due = true
		case got := <-r.results:
			r.running--
			if got.err == nil {
				return got.c, nil
			}
			r.errs = append(r.errs, got.err)
			due = true
		case <-r.ctx.Done():
			return nil, r.ctx.Err()
		}
	}
}

// stopped returns a timer that does not run yet.
func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

func (r *race) answered(f family) {
	r.asked[f] = nil
	if r.lookup.err[f] != nil {
		r.join(f, r.name.last(f))
	}
	r.join(f, r.lookup.addrs[f])
}

// recall lets the last known addresses join where the answer takes its time.
func (r *race) recall() {
	for f := range families {
		if r.asked[f] != nil {
			r.join(f, r.name.last(f))
		}
	}
}

func (r *race) join(f family, addrs []netip.Addr) {
	for _, a := range addrs {
		if !r.tried[a] {
			r.tried[a] = true
			r.queue[f] = append(r.queue[f], a)
		}
	}
}

// start begins the next attempt, and returns false if there is none to begin. The
// families take turns, so that one that leads nowhere costs one stagger for each
// address of the other.
func (r *race) start() bool {
	f := r.next
	if len(r.queue[f]) == 0 {
		f = f.other()
	}
	if len(r.queue[f]) == 0 || r.held {
		return false
	}
	to := netip.AddrPortFrom(r.queue[f][0], r.port).String()
	r.queue[f] = r.queue[f][1:]
	r.next = f.other()
	r.running++
	r.ended.Go(func() {
		c, err := r.dialer.DialContext(r.ctx, "tcp", to)
		select {
		case r.results <- result{c, err}:
		case <-r.ctx.Done():
			if c != nil {
				c.Close()
			}
		}
	})
	return true
}

// over says that nothing is left to wait for.
func (r *race) over() bool {
	return r.running == 0 && len(r.queue[v4])+len(r.queue[v6]) == 0 && r.asked[v4] == nil && r.asked[v6] == nil
}

func (r *race) failure() error {
	err := &TriedError{Lookup: r.lookup.failure(), Tried: r.errs}
	if err.Lookup == nil && len(err.Tried) == 1 {
		return err.Tried[0]
	}
	if len(err.Tried) == 0 {
		return err.Lookup
	}
	return err
}
