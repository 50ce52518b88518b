// Package machine finds out what this process may use: memory, descriptors,
// CPUs. It is asked once, at start; what is made of the answers is decided in
// server/capacity, whose tests make the answers up.
package machine

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Facts are what the process may use. Zero means that nobody could tell.
// Immutable.
type Facts struct {
	Memory      int64  // bytes: the cgroup's limit, or what the machine has
	MemoryOf    string // "the cgroup" or "the machine"
	GoLimit     int64  // bytes: GOMEMLIMIT, if the user gave it
	Descriptors int64  // that may be open at a time
	CPUs        int
}

// Read raises the limit of descriptors as far as it may be raised, and returns
// what the process may use.
func Read() Facts {
	f := Facts{Descriptors: raiseDescriptors(), CPUs: runtime.GOMAXPROCS(0)}
	f.Memory, f.MemoryOf = memory(os.DirFS("/"))
	if given := debug.SetMemoryLimit(-1); given < math.MaxInt64 {
		f.GoLimit = given
	}
	return f
}

// raiseDescriptors sets RLIMIT_NOFILE to its hard limit and returns what holds
// then. Go's runtime does so, too, but only where it thinks it safe.
func raiseDescriptors() int64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	if limit.Cur < limit.Max {
		raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	return int64(min(limit.Cur, math.MaxInt64))
}

// LimitMemory tells the collector to keep the process below so many bytes. A
// lower limit that the user gave by GOMEMLIMIT stays. It returns what holds.
// For the whole process, so for main to call.
func LimitMemory(bytes int64) int64 {
	if given := debug.SetMemoryLimit(-1); bytes <= 0 || given < bytes {
		return given
	}
	debug.SetMemoryLimit(bytes)
	return bytes
}
