package listener

import (
	"net"
	"net/netip"
	"sync"
)

// refusal says why a connection is not let in.
type refusal uint8

const (
	admitted refusal = iota
	limitReached
	addressLimitReached
)

// connLimiter counts who is in: in all, and by source if that is limited.
// Safe for concurrent use.
type connLimiter struct {
	max, maxPerSource int // 0: any number
	leave             func()

	mu       sync.Mutex
	open     int
	bySource map[netip.Addr]int // only of those that are in; nil before the first limit
}

func (d *connLimiter) init(limit, limitPerSource int) {
	d.leave = func() {
		d.mu.Lock()
		d.open--
		d.mu.Unlock()
	}
	d.limit(limit, limitPerSource)
}

// limit changes the limits for those who come from now on. Who is in stays, and
// is counted by source if that was limited when it came.
func (d *connLimiter) limit(limit, limitPerSource int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.max, d.maxPerSource = limit, limitPerSource
	if limitPerSource > 0 && d.bySource == nil {
		d.bySource = make(map[netip.Addr]int)
	}
}

func (d *connLimiter) limits() (limit, limitPerSource int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.max, d.maxPerSource
}

// enter counts a connection in. Who is let in must leave once.
func (d *connLimiter) enter(peer net.Addr) (leave func(), refused refusal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.max > 0 && d.open >= d.max {
		return nil, limitReached
	}
	if d.maxPerSource == 0 {
		d.open++
		return d.leave, admitted // the same for all: nothing is allocated
	}
	from := source(peer)
	if d.bySource[from] >= d.maxPerSource {
		return nil, addressLimitReached
	}
	d.open++
	d.bySource[from]++
	return func() { d.leaveFrom(from) }, admitted
}

func (d *connLimiter) leaveFrom(from netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	if d.bySource[from]--; d.bySource[from] <= 0 {
		delete(d.bySource, from)
	}
}

func (d *connLimiter) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// source is what connections are counted by: an IPv4 address, also where it is
// written as an IPv6 one, or an IPv6 network of 64 bits, because that is what
// one site has, and any host in it may use any of its addresses.
func source(peer net.Addr) netip.Addr {
	tcp, ok := peer.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr := tcp.AddrPort().Addr().Unmap()
	if !addr.Is6() {
		return addr
	}
	network, err := addr.Prefix(64)
	if err != nil { // 64 bits can be had of any IPv6 address
		return addr
	}
	return network.Addr()
}
