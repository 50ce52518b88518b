package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"sluice/internal/process"
)

// stage is a program in the middle with its sinks, started and ready.
type stage struct {
	setting
	sinks     sinks
	middle    *process.Process
	processes process.Group
}

// errNotInstalled is why a peer was not measured.
var errNotInstalled = errors.New("not installed")

// start brings up everything of a run but the agents. The caller stops it.
func (c *compareCmd) start(ctx context.Context, p *peer) (_ *stage, err error) {
	program, err := p.available(c.Bin)
	if err != nil {
		return nil, err
	}
	s := &stage{}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.dir, err = os.MkdirTemp(c.Work, p.name+"-"); err != nil {
		return nil, err
	}
	if s.weights = c.weights; s.weights == nil {
		s.weights = weights[:]
	}
	n := len(s.weights)
	addrs, err := freeAddrs(2 + 2*n)
	if err != nil {
		return nil, err
	}
	s.addr, s.http, s.flags, s.bin = addrs[0], addrs[1], c.ServerFlag, p.folder(c.Bin)
	s.targets = addrs[2 : 2+n]
	if p.takes == "" {
		var a *analyzers
		if a, err = startAnalyzers(&s.processes, s.dir, s.bin, s.targets, addrs[2+n:]); err == nil {
			s.sinks, err = a, a.await(ctx) // relays expect them to listen
		}
	} else {
		s.sinks, err = startCounters(&s.processes, s.dir, p.takes, s.targets, s.addr)
	}
	if err != nil {
		return nil, err
	}
	args, err := p.configure(&s.setting)
	if err != nil {
		return nil, err
	}
	if s.middle, err = s.processes.Start(s.dir, filepath.Base(program), exec.Command(program, args...)); err != nil {
		return nil, err
	}
	serving := func() bool { return listens(s.addr) }
	if p.serving != nil {
		serving = func() bool { return p.serving(&s.setting) }
	}
	if err := await(ctx, s.middle, serving); err != nil {
		return nil, err
	}
	if err := s.sinks.await(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return s, nil
}

// sinksCPU is what all but the program in the middle have used so far.
func (s *stage) sinksCPU() (cpu time.Duration, err error) {
	for _, p := range s.processes {
		if p == s.middle {
			continue
		}
		u, err := process.UsageOf(p.PID())
		if err != nil {
			return 0, err
		}
		cpu += u.CPU
	}
	return cpu, nil
}

// stop ends all processes. The last one that was started ends first: nobody
// sees a peer of its own die.
func (s *stage) stop() {
	if s != nil {
		s.processes.Stop()
	}
}
