package testsystem

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
)

// Ports are taken from below the ephemeral range. A program's port is free
// while the program is dead, and an ephemeral one might then become the source
// of somebody's connection, or even be connected to itself.
const firstPort, lastPort = 10_000, 30_000

// Ports remembers which ports of this machine were given out. The zero value
// has given out none. Safe for concurrent use.
type Ports struct {
	mu    sync.Mutex
	given map[int]bool
}

// Addr reserves an address of 127.0.0.1 that nobody listens at.
func (p *Ports) Addr() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given == nil {
		p.given = map[int]bool{}
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if p.given[port] {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		free, err := isFree(addr)
		if !free {
			continue
		}
		p.given[port] = true
		return addr, err
	}
	return "", fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}

// isFree tries to listen. No process may be forked meanwhile: until it has
// become another program the child would hold the port as well.
func isFree(addr string) (bool, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return false, nil
	}
	return true, ln.Close()
}
