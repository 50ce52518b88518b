package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of CPU times in /proc; Linux shows them in hundredths of a
// second to user space, on every machine.
const tick = 10 * time.Millisecond

// Usage is what a process and its children have used so far.
type Usage struct {
	CPU       time.Duration // user and system
	PeakRSS   int64         // bytes; pages that children share count for each
	Reads     int64         // system calls that read, recv not counted
	Writes    int64         // system calls that write, send not counted
	Processes int           // how many of them run
}

// UsageOf adds up pid and all its descendants, those that ended and were waited
// for included.
func UsageOf(pid int) (Usage, error) {
	parents := map[int]int{}
	stats := map[int]procStat{}
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return Usage{}, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // has ended meanwhile
		}
		s, err := parseStat(text)
		if err != nil {
			return Usage{}, fmt.Errorf("%s: %w", name, err)
		}
		parents[s.pid], stats[s.pid] = s.parent, s
	}
	if _, ok := stats[pid]; !ok {
		return Usage{}, fmt.Errorf("process %d has ended", pid)
	}
	var u Usage
	for one, s := range stats {
		for up := one; up != 0; up = parents[up] {
			if up == pid {
				u.Processes++
				u.CPU += s.cpu
				u.PeakRSS += peakRSS(one)
				u.Reads += procCount(one, "io", "syscr:")
				u.Writes += procCount(one, "io", "syscw:")
				break
			}
		}
	}
	return u, nil
}

type procStat struct {
	pid, parent int
	cpu         time.Duration
}

// parseStat reads a /proc/<pid>/stat. The name of the program, in parentheses,
// may hold anything; so fields are counted from the last parenthesis.
func parseStat(text []byte) (procStat, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return procStat{}, fmt.Errorf("no program name in %q", text)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text[:open])))
	if err != nil {
		return procStat{}, err
	}
	fields := bytes.Fields(text[end+1:]) // the first one is field 3 of proc(5)
	if len(fields) < 15 {
		return procStat{}, fmt.Errorf("%d fields in %q", len(fields), text)
	}
	number := func(field int) (n int64) {
		if err == nil {
			n, err = strconv.ParseInt(string(fields[field-3]), 10, 64)
		}
		return n
	}
	s := procStat{pid: pid, parent: int(number(4))}
	for field := 14; field <= 17; field++ { // utime, stime, cutime, cstime
		s.cpu += time.Duration(number(field)) * tick
	}
	return s, err
}

// peakRSS is the largest resident size that a process has had, or 0 if nobody
// can tell.
func peakRSS(pid int) int64 { return procCount(pid, "status", "VmHWM:") << 10 }

// procCount is the number behind a key in a file of /proc/<pid>, or 0 if nobody
// can tell.
func procCount(pid int, file, key string) (n int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0
	}
	if _, rest, ok := bytes.Cut(text, []byte(key)); ok {
		fmt.Sscan(string(rest), &n)
	}
	return n
}
