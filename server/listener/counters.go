package listener

import "sync/atomic"

// Counters are the connections since the start, by what became of them.
// Immutable.
type Counters struct {
	Open         int    // of agents, at the moment
	Accepted     uint64 // given to a loop
	RefusedLimit uint64 // because MaxConnections were open
	RefusedPerIP uint64 // because MaxPerIP of the same address were
	NotTaken     uint64 // accepted, and the loop could not take them
	AcceptErrors AcceptErrors
}

// AcceptErrors are failures to accept, each followed by a pause. Those of a loop
// for want of descriptors or memory are among them, and in NotTaken. Immutable.
type AcceptErrors struct {
	Descriptors uint64 // EMFILE, ENFILE
	Memory      uint64 // ENOBUFS, ENOMEM
	Aborted     uint64 // ECONNABORTED and what else speaks of one connection
	Other       uint64
}

const (
	descriptorError = iota
	memoryError
	abortedError
	otherError
	errorKinds
)

// counts are the Counters in the making. Safe for concurrent use.
type counts struct {
	accepted, refusedLimit, refusedPerIP, notTaken atomic.Uint64
	errors                                         [errorKinds]atomic.Uint64
}

// failed counts a failing accept and says what is the matter.
func (c *counts) failed(err error) (why string) {
	kind, why := kindOf(err)
	c.errors[kind].Add(1)
	return why
}

// Counters are those of the moment.
func (l *Listener) Counters() Counters {
	c := &l.counts
	return Counters{
		Open: l.limiter.count(), Accepted: c.accepted.Load(),
		RefusedLimit: c.refusedLimit.Load(), RefusedPerIP: c.refusedPerIP.Load(), NotTaken: c.notTaken.Load(),
		AcceptErrors: AcceptErrors{Descriptors: c.errors[descriptorError].Load(), Memory: c.errors[memoryError].Load(),
			Aborted: c.errors[abortedError].Load(), Other: c.errors[otherError].Load()},
	}
}
