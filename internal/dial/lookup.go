package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// name is what is known of one host name.
type name struct {
	mu      sync.Mutex
	known   [families][]netip.Addr // what the last answer said
	pending *lookup
}

// lookup is one question about a name, for both families at once. They are asked
// apart, so that a name server that drops one kind of question delays only the
// answer to that one.
type lookup struct {
	host  string
	done  [families]chan struct{}
	addrs [families][]netip.Addr // valid once done
	err   [families]error        // nil also if it is certain that there are none
}

// lookup starts a lookup of a name, or joins the one that is under way. It goes on
// when the caller is content with a last known address, because the next caller
// wants to know.
func (d *Dialer) lookup(host string, n *name) *lookup {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pending != nil {
		return n.pending
	}
	l := &lookup{host: host, done: [families]chan struct{}{make(chan struct{}), make(chan struct{})}}
	n.pending = l
	ctx, cancel := context.WithTimeout(d.ctx, d.limits.Lookup)
	var both sync.WaitGroup
	for f := range families {
		both.Go(func() {
			l.addrs[f], l.err[f] = ask(ctx, f, host)
			close(l.done[f])
		})
	}
	go func() {
		both.Wait()
		cancel()
		n.learn(l)
	}()
	return l
}

// ask returns a name's addresses of one family. None and no error: the answer is
// that there are none.
func ask(ctx context.Context, f family, host string) ([]netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, f.network(), host)
	var dns *net.DNSError
	var filtered *net.AddrError // the name has addresses, but of the other family
	if errors.As(err, &filtered) || errors.As(err, &dns) && dns.IsNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs[:min(len(addrs), maxAddrs)], nil
}

// learn keeps what a lookup has found. Where it has failed, the last answer stays:
// name servers fail more often than addresses change.
func (n *name) learn(l *lookup) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pending = nil
	for f := range families {
		if l.err[f] == nil {
			n.known[f] = l.addrs[f]
		}
	}
}

// last returns the last known addresses of one family.
func (n *name) last(f family) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known[f]
}

// failure says why a lookup that is done has found nothing; nil if it has.
func (l *lookup) failure() error {
	if len(l.addrs[v4])+len(l.addrs[v6]) > 0 {
		return nil
	}
	err := l.err[v4]
	if err == nil {
		err = l.err[v6]
	}
	return &LookupError{Host: l.host, Reason: reason(err), Err: err}
}

// reason tells why a lookup has failed without what differs from one try to the
// next, such as the port that the resolver asked from.
func reason(err error) string {
	var dns *net.DNSError
	switch {
	case err == nil:
		return "no such host"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &dns) && !dns.IsTimeout:
		// "read udp 127.0.0.1:35699->127.0.0.1:53: read: connection refused", and
		// the resolver wraps no error in it.
		if _, after, found := strings.Cut(dns.Err, "->"); found {
			return "name server " + after
		}
		return dns.Err
	}
	return "no answer from the name servers"
}
