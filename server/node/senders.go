package node

import (
	"net/netip"
	"sync"
	"time"

	"sluice/protocol"
	"sluice/server/api"
	"sluice/server/dispatch"
	"sluice/server/intake"
)

// senders are those who send by HTTP, by address: all connections of one address
// are one source at each loop. Safe for concurrent use.
type senders struct {
	n  *Node
	mu sync.Mutex
	by map[netip.Addr]*sender // looked at when a connection comes or goes
}

// sender is one address. Safe for concurrent use.
type sender struct {
	home    *senders
	addr    netip.Addr
	open    int              // connections; guarded by home.mu
	sources []*intake.Source // by loop
}

func (s *senders) init(n *Node) { s.n, s.by = n, make(map[netip.Addr]*sender) }

// Sender makes the sender of a connection; see api.Backend.
func (n *Node) Sender(from netip.Addr) api.Sender {
	s := &n.senders
	addr := dispatch.PartyAddr(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.by[addr]
	if one == nil {
		one = &sender{home: s, addr: addr, sources: n.newSources(addr, n.letters)}
		s.by[addr] = one
	}
	one.open++
	return one
}

// Close ends one connection of the address.
func (s *sender) Close() {
	s.home.mu.Lock()
	defer s.home.mu.Unlock()
	if s.open--; s.open > 0 {
		return
	}
	delete(s.home.by, s.addr)
	for _, source := range s.sources {
		source.Close()
	}
}

// newSources makes a source at each loop.
func (n *Node) newSources(from netip.Addr, keeper intake.Keeper) []*intake.Source {
	sources := make([]*intake.Source, len(n.loops))
	for i, l := range n.loops {
		sources[i] = l.Intake().NewSource(from, keeper)
	}
	return sources
}

// nextLoop takes the loops in turn.
func (n *Node) nextLoop() uint64 { return n.next.Add(1) % uint64(len(n.loops)) }

// Submit gives a scanned body to a loop; see api.Sender.
func (s *sender) Submit(body []byte, messages int, done func(api.Outcome)) api.Admission {
	n := s.home.n
	if n.draining.Load() {
		return api.Admission{Code: protocol.NackDraining, RetryAfter: time.Second}
	}
	var hearer intake.Hearer
	if done != nil {
		hearer = waiter{n, done}
	}
	a := s.sources[n.nextLoop()].SubmitBody(body, messages, hearer)
	return api.Admission{Accepted: a.Verdict == intake.Taken, Code: a.Code, Reason: a.Reason, RetryAfter: a.RetryAfter}
}

// waiter hears of one packet for whoever waits for its answer.
type waiter struct {
	n    *Node
	done func(api.Outcome)
}

// Settled is called by a loop.
func (w waiter) Settled(run intake.Run) {
	out := api.Outcome{Delivered: run.Delivered, Kept: run.Kept, Code: run.Code}
	if run.Delivered {
		out.Analyzer = w.n.analyzerName(run.Analyzer)
	}
	w.done(out)
}
