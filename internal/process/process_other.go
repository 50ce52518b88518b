//go:build !linux

package process

import (
	"errors"
	"syscall"
	"time"
)

// errNoProc is why looking into a process needs Linux.
var errNoProc = errors.New("needs /proc")

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// CPU returns the processor time that the process has used.
func (p *Process) CPU() (time.Duration, error) { return 0, errNoProc }

// RSS returns the resident memory in bytes.
func (p *Process) RSS() (int, error) { return 0, errNoProc }

// Descriptors returns how many file descriptors are open.
func (p *Process) Descriptors() (int, error) { return 0, errNoProc }

// Threads returns how many threads there are.
func (p *Process) Threads() (int, error) { return 0, errNoProc }

// Polled returns how many descriptors each of its epoll instances watches.
func (p *Process) Polled() ([]int, error) { return nil, errNoProc }

// LimitDescriptors changes how many files it may have open, while it runs.
func (p *Process) LimitDescriptors(int) error { return errNoProc }

// MachineCPU returns the processor time that the whole machine has used and had.
func MachineCPU() (used, had time.Duration, err error) { return 0, 0, errNoProc }

// OwnCPU returns the processor time that this process has used.
func OwnCPU() (time.Duration, error) { return 0, errNoProc }
