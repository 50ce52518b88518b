// Package sockq tells how much of what was written to a connection has reached
// the peer's kernel.
//
// A write returns as soon as the local kernel has copied the bytes, so silence
// after a write means one of two things: the peer has our bytes and says
// nothing, or the bytes are still on their way over a slow link. Only the first
// is a reason to give a connection up, and only the socket knows which it is.
package sockq

import (
	"net"
	"syscall"
)

// State is one look at a socket's send side.
type State struct {
	// Unacked is how many bytes were written to the socket that the peer's
	// kernel has not acknowledged, whether they were sent or not. With 0
	// everything has arrived, a PING behind data included.
	Unacked int

	// Acked is how many bytes the peer's kernel has acknowledged since the
	// connection was made. It never falls, so that it shows progress even while
	// a writer refills the queue as fast as it drains.
	Acked uint64
}

// Of looks at a connection. It returns false where the system cannot tell:
// other systems than Linux, closed connections, and what is not TCP. It costs
// two system calls. Safe for concurrent use with reads and writes.
func Of(c net.Conn) (State, bool) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return State{}, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return State{}, false
	}
	var s State
	known := false
	if err := raw.Control(func(fd uintptr) { s, known = OfFD(int(fd)) }); err != nil {
		return State{}, false
	}
	return s, known
}

// Progress watches one connection for bytes that leave. The zero value has seen
// nothing. Owned by its caller.
type Progress struct {
	acked uint64
	seen  bool
}

// Moved says whether bytes have reached the peer's kernel since the last look;
// the first look only notes where the count stands.
func (p *Progress) Moved(s State) bool {
	moved := p.seen && s.Acked > p.acked
	p.acked, p.seen = s.Acked, true
	return moved
}
