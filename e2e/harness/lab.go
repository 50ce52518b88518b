package harness

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Lab is where scenarios run: the programs under test, and the ports that were
// given out. Safe for concurrent use.
type Lab struct {
	Dir string // holds the programs and a folder for each run

	server, analyzer, loadgen, helper string

	mu    sync.Mutex
	ports map[int]bool
}

// NewLab builds the programs into dir, or takes them from bin if that is not
// empty. They are built without the race detector, whatever we are: their
// timing is what is tested.
func NewLab(ctx context.Context, dir, bin string) (*Lab, error) {
	l := &Lab{Dir: dir, ports: map[int]bool{}}
	if bin == "" {
		bin = filepath.Join(dir, "bin")
		root, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
		if err != nil {
			return nil, fmt.Errorf("where is the module: %w", err)
		}
		build := exec.CommandContext(ctx, "go", "build", "-o", bin+string(filepath.Separator), "./server", "./analyzer", "./loadgen", "./e2e/chaos")
		build.Dir = filepath.Dir(strings.TrimSpace(string(root)))
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build: %w\n%s", err, bytes.TrimSpace(out))
		}
	}
	l.server, l.analyzer = filepath.Join(bin, "server"), filepath.Join(bin, "analyzer")
	l.loadgen, l.helper = filepath.Join(bin, "loadgen"), filepath.Join(bin, "chaos")
	return l, nil
}

// Ports are taken from below the ephemeral range. An analyzer's port is free
// while the analyzer is dead, and an ephemeral one might then become the source
// of somebody's connection, or even be connected to itself.
const firstPort, lastPort = 10_000, 30_000

// addr reserves an address for the rest of the lab's life.
func (l *Lab) addr() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if l.ports[port] {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		free, err := isFree(addr)
		if !free {
			continue
		}
		l.ports[port] = true
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
