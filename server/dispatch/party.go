package dispatch

import "net/netip"

// PartyKey names whom a source belongs to: a tenant, and an address of it.
type PartyKey struct {
	Tenant string
	Addr   netip.Addr // see PartyAddr; zero: none of the network
}

// PartyAddr is the address by which a peer is one party: an IPv4 address, or
// the first one of an IPv6 /64, because that is what one host may have whole.
func PartyAddr(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// party is what belongs together in shortage: all of the loop, a tenant, an
// address of a tenant. It lives while it has sources or holds anything, so what
// was sent by connections that have gone since still counts against their
// address. Owned by one loop.
type party struct {
	parent *party // nil: the loop
	key    PartyKey

	members int   // sources or parties under it that exist
	active  int   // of them, those with unsettled frames
	frames  int   // unsettled, of all its sources
	bytes   int64 // of those frames, and what was charged for its sources beside
}

// hold counts frames that were admitted; first says that their source had none.
func (p *party) hold(first bool, frames int, bytes int64) {
	for ; p != nil; p = p.parent {
		if first {
			p.active++
		}
		first = p.frames == 0
		p.frames += frames
		p.bytes += bytes
	}
}

// let counts frames that were answered; last says that their source has none left.
func (p *party) let(last bool, frames int, bytes int64) {
	for ; p != nil; p = p.parent {
		if last {
			p.active--
		}
		p.frames -= frames
		p.bytes -= bytes
		last = p.frames == 0
	}
}

func (p *party) charge(bytes int64) {
	for ; p != nil; p = p.parent {
		p.bytes += bytes
	}
}

// parties is the tree of them: the loop, its tenants, their addresses.
// Owned by one loop.
type parties struct {
	root party
	all  map[PartyKey]*party // looked at when a source comes or goes, and never for a frame
}

func (t *parties) init() { t.all = make(map[PartyKey]*party) }

// enter counts a source into its party.
func (t *parties) enter(key PartyKey) *party {
	tenant := t.find(PartyKey{Tenant: key.Tenant}, &t.root)
	p := tenant
	if key.Addr.IsValid() {
		p = t.find(key, tenant)
	}
	p.members++
	return p
}

func (t *parties) find(key PartyKey, parent *party) *party {
	p := t.all[key]
	if p == nil {
		p = &party{parent: parent, key: key}
		t.all[key] = p
		parent.members++
	}
	return p
}

// leave counts a source out of its party.
func (t *parties) leave(p *party) {
	p.members--
	t.prune(p)
}

// prune forgets parties that have no member and hold nothing.
func (t *parties) prune(p *party) {
	for p.parent != nil && p.members == 0 && p.frames == 0 && p.bytes == 0 {
		delete(t.all, p.key)
		p.parent.members--
		p = p.parent
	}
}
