package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cgroups is where version 1 of the memory controller is mounted.
const cgroups = "/sys/fs/cgroup/memory"

// Cgroup is a memory limit of the kernel's own. Owned by the scenario's
// goroutine.
type Cgroup struct{ dir string }

// NewCgroup makes one. The error says why this machine has none to give.
func NewCgroup(name string, limit int) (*Cgroup, error) {
	g := &Cgroup{filepath.Join(cgroups, fmt.Sprintf("%s-%d-%d", name, os.Getpid(), time.Now().UnixNano()))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(g.dir, "memory.limit_in_bytes"), []byte(strconv.Itoa(limit)), 0o644); err != nil {
		return nil, errors.Join(err, g.Remove())
	}
	return g, nil
}

// Enter is the shell command that moves the shell into it.
func (g *Cgroup) Enter() string { return fmt.Sprintf("echo $$ > %s/cgroup.procs", g.dir) }

// Figure reads one of its files that hold a number.
func (g *Cgroup) Figure(name string) (int, error) {
	text, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// Remove removes it; whoever is in it must have ended.
func (g *Cgroup) Remove() (err error) {
	for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(pollEvery) {
		if err = os.Remove(g.dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	return err
}
