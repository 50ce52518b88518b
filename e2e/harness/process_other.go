//go:build !linux

package harness

import (
	"errors"
	"syscall"
	"time"
)

// errNoProc is why scenarios that look into a process need Linux.
var errNoProc = errors.New("needs /proc")

func dieWithParent() *syscall.SysProcAttr { return nil }

// CPU returns the processor time that the process has used.
func (p *Process) CPU() (time.Duration, error) { return 0, errNoProc }

// RSS returns the resident memory in bytes.
func (p *Process) RSS() (int, error) { return 0, errNoProc }

// Descriptors returns how many file descriptors are open.
func (p *Process) Descriptors() (int, error) { return 0, errNoProc }

func machineCPU() (used, had time.Duration, err error) { return 0, 0, errNoProc }

func ownCPU() (time.Duration, error) { return 0, errNoProc }
