package harness

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dieWithParent has the kernel kill the child when the harness dies, however it
// dies. (The kernel goes by the thread that started the child; Go ends a thread
// only if a goroutine ends while locked to it, and none here is.)
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// clockTick is the unit of the CPU times in /proc: USER_HZ, 100 on every Linux.
const clockTick = 10 * time.Millisecond

// CPU returns the processor time that the process has used.
func (p *Process) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0, err
	}
	// The second field, the name, may hold anything; the rest counts from its ')'.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", p.PID(), len(fields))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, err
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

// machineCPU returns the processor time that the whole machine has used and
// had, over all its processors, since it started.
func machineCPU() (used, had time.Duration, err error) {
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
		had += time.Duration(n) * clockTick
		if i != 3 && i != 4 {
			used += time.Duration(n) * clockTick
		}
	}
	return used, had, nil
}

// ownCPU returns the processor time that this process has used.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
