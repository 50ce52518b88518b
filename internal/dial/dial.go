// Package dial connects to host:port, with a limit of its own for each step: the
// name lookup, and each address that it finds.
//
// The obvious way is a net.Dialer with one timeout. It fails where the steps are
// slow in ways that a user would not even notice: a dead first name server costs
// the resolver 5 s before it asks the second one, so a limit of 2 s never
// connects; and a silent first address uses up the time of the working second.
// Here a slow lookup costs its time and nothing else, addresses are tried side
// by side (RFC 8305, "Happy Eyeballs"), and while name servers fail, the
// addresses that a name had last are used.
package dial

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// DefaultLookup is the limit of one name lookup. A resolver with the usual
// resolv.conf asks three servers twice for 5 s each.
const DefaultLookup = 30 * time.Second

// DefaultConnect is the limit of one address: three SYNs, sent after 0, 1 and 3 s.
const DefaultConnect = 5 * time.Second

const (
	// stagger is RFC 8305's Connection Attempt Delay.
	stagger = 250 * time.Millisecond

	// resolutionDelay is how long IPv4 addresses wait for the answer about IPv6
	// (RFC 8305, section 3). A name server that drops AAAA queries costs this.
	resolutionDelay = 50 * time.Millisecond

	// knownAfter is how long a lookup may take before last known addresses are
	// tried as well. A lookup that works takes milliseconds.
	knownAfter = 2 * time.Second

	// maxAddrs bounds the addresses of one family that are tried in one Dial.
	maxAddrs = 32
)

// Limits are the limits of the steps. 0 means the default.
type Limits struct {
	Lookup  time.Duration // of one name lookup
	Connect time.Duration // of one address
}

// Dialer connects, and remembers the addresses of names. Lookups of one name are
// shared between its callers. Safe for concurrent use.
type Dialer struct {
	ctx    context.Context
	limits Limits

	mu    sync.Mutex
	names map[string]*name
}

// New returns a Dialer whose lookups end with ctx at the latest.
func New(ctx context.Context, limits Limits) *Dialer {
	if limits.Lookup <= 0 {
		limits.Lookup = DefaultLookup
	}
	if limits.Connect <= 0 {
		limits.Connect = DefaultConnect
	}
	return &Dialer{ctx: ctx, limits: limits, names: make(map[string]*name)}
}

// Option changes one Dial.
type Option func(*net.Dialer)

// Dial connects to host:port over TCP. It takes at most the lookup's limit and
// the limits of the addresses, which overlap; ctx ends it sooner. The error tells
// of every address that was tried, in words that are the same each time.
func (d *Dialer) Dial(ctx context.Context, address string, options ...Option) (net.Conn, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return nil, err
	}
	one := net.Dialer{Timeout: d.limits.Connect}
	for _, set := range options {
		set(&one)
	}
	if host == "" {
		return one.DialContext(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(port)))
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return one.DialContext(ctx, "tcp", netip.AddrPortFrom(ip, uint16(port)).String())
	}
	n := d.name(host)
	return newRace(ctx, &one, uint16(port), d.lookup(host, n), n).run()
}

func (d *Dialer) name(host string) *name {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[host]
	if n == nil {
		n = &name{}
		d.names[host] = n
	}
	return n
}

// A family of addresses; its value is an index.
type family int

const (
	v6 family = iota
	v4
	families
)

func (f family) network() string { return [families]string{"ip6", "ip4"}[f] }

func (f family) other() family { return v4 - f }

// TriedError tells why no address of a name could be reached.
type TriedError struct {
	Lookup error   // why the name could not be looked up; nil: it could
	Tried  []error // one for each address
}

func (e *TriedError) Error() string {
	text := ""
	if e.Lookup != nil {
		text = e.Lookup.Error()
	}
	for i, err := range e.Tried {
		switch {
		case i > 0:
			text += "; "
		case e.Lookup != nil:
			text += "; last known addresses: "
		}
		text += err.Error()
	}
	return text
}

func (e *TriedError) Unwrap() []error {
	if e.Lookup == nil {
		return e.Tried
	}
	return append([]error{e.Lookup}, e.Tried...)
}

// LookupError says that a name has no address, or that nobody could tell.
type LookupError struct {
	Host   string
	Reason string // without the resolver's own ports, which differ each time
	Err    error
}

func (e *LookupError) Error() string { return fmt.Sprintf("lookup %s: %s", e.Host, e.Reason) }

func (e *LookupError) Unwrap() error { return e.Err }

// smallSegment is what the kernel falls back to when it probes for a path's MTU
// (tcp_base_mss). Probing itself is off by default, and a setting of the machine.
const smallSegment = 1024

// SmallSegments keeps TCP segments so small, in both directions, that they pass
// where full-size packets are lost without a word (a tunnel with a smaller MTU,
// and ICMP filtered). It costs more packets.
func SmallSegments(d *net.Dialer) {
	d.Control = func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			// If it is refused, segments are as large as always.
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, smallSegment)
		})
	}
}
