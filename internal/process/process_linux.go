package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attributes have the kernel kill the child when we die, however we die, and
// give it a group of its own: a Ctrl-C is for us, who then stop it in order.
// (The kernel goes by the thread that started the child; Go ends a thread only
// if a goroutine ends while locked to it, and none here is.)
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// CPU returns the processor time that the process has used.
func (p *Process) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0, err
	}
	s, err := parseStat(text)
	return s.cpu, err
}

// RSS returns the resident memory in bytes.
func (p *Process) RSS() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm: %q", p.PID(), text)
	}
	pages, err := strconv.Atoi(fields[1])
	return pages * os.Getpagesize(), err
}

// Descriptors returns how many file descriptors are open.
func (p *Process) Descriptors() (int, error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	return len(open), err
}

// Threads returns how many threads there are.
func (p *Process) Threads() (int, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID()))
	return len(tasks), err
}

// Polled returns how many descriptors each of its epoll instances watches: of a
// distributor, what each of its loops has, and Go's own.
func (p *Process) Polled() (counts []int, err error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	for _, fd := range open {
		at, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", p.PID(), fd.Name()))
		if err != nil || at != "anon_inode:[eventpoll]" {
			continue // closed since
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", p.PID(), fd.Name()))
		if err != nil {
			return nil, err
		}
		counts = append(counts, strings.Count(string(info), "tfd:"))
	}
	return counts, err
}

// LimitDescriptors changes how many files it may have open, while it runs, up to
// the hard limit that it was started with.
func (p *Process) LimitDescriptors(n int) error {
	var limit unix.Rlimit
	if err := unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		return fmt.Errorf("prlimit: %w", err)
	}
	limit.Cur = uint64(n)
	return unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, &limit, nil)
}

// MachineCPU returns the processor time that the whole machine has used and
// had, over all its processors, since it started.
func MachineCPU() (used, had time.Duration, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return 0, 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	for i, f := range fields[1:9] { // user nice system idle iowait irq softirq steal
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		had += time.Duration(n) * tick
		if i != 3 && i != 4 {
			used += time.Duration(n) * tick
		}
	}
	return used, had, nil
}

// OwnCPU returns the processor time that this process has used.
func OwnCPU() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
