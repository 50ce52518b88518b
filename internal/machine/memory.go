package machine

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// memory returns the lowest limit of the process's cgroup and the cgroups
// around it, or what the machine has where there is none below that.
func memory(root fs.FS) (bytes int64, of string) {
	machine := machineMemory(root)
	limit := cgroupMemory(root)
	if limit > 0 && (machine == 0 || limit < machine) {
		return limit, "the cgroup"
	}
	if machine == 0 {
		return 0, ""
	}
	return machine, "the machine"
}

func machineMemory(root fs.FS) int64 {
	for line := range lines(root, "proc/meminfo") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			if kb, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				return kb << 10
			}
		}
	}
	return 0
}

// cgroupMemory is the lowest limit on the way from the process's cgroup to the
// root of its hierarchy, for v1 and v2 (of which a hybrid machine has both); 0
// if there is none.
func cgroupMemory(root fs.FS) (lowest int64) {
	for line := range lines(root, "proc/self/cgroup") {
		f := strings.SplitN(line, ":", 3) // id:controllers:path
		if len(f) != 3 {
			continue
		}
		kind, file := "cgroup", "memory.limit_in_bytes"
		if f[1] == "" {
			kind, file = "cgroup2", "memory.max"
		} else if !contains(f[1], "memory") {
			continue
		}
		for _, m := range mounts(root, kind) {
			for dir := m.folder(f[2]); ; dir = path.Dir(dir) {
				if limit := readLimit(root, path.Join(dir, file)); limit > 0 && (lowest == 0 || limit < lowest) {
					lowest = limit
				}
				if dir == m.at || dir == "." {
					break
				}
			}
		}
	}
	return lowest
}

// mount is where a hierarchy is seen. Immutable.
type mount struct {
	top string // the cgroup that is seen at its top: "/" but in containers
	at  string // relative to the root of the file system
}

// folder is where a cgroup is seen. In a container without a namespace of its
// own the process's cgroup is named as on the host, and its top is the cgroup
// itself; what lies outside of it cannot be seen.
func (m mount) folder(cgroup string) string {
	rest, inside := strings.CutPrefix(cgroup, strings.TrimSuffix(m.top, "/"))
	if !inside || strings.Contains(rest, "..") {
		return m.at
	}
	return path.Join(m.at, rest)
}

// mounts are those of v2 ("cgroup2"), or those of v1 ("cgroup") that have the
// memory controller.
func mounts(root fs.FS, kind string) (found []mount) {
	for line := range lines(root, "proc/self/mountinfo") {
		about, source, split := strings.Cut(line, " - ")
		f, s := strings.Fields(about), strings.Fields(source)
		if !split || len(f) < 5 || len(s) < 3 || s[0] != kind || kind == "cgroup" && !contains(s[2], "memory") {
			continue
		}
		found = append(found, mount{top: f[3], at: strings.Trim(f[4], "/")})
	}
	return found
}

// readLimit reads one limit; 0 for "max", for v1's way to say so (a number
// near the largest), and for what cannot be read.
func readLimit(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n <= 0 || n >= 1<<60 {
		return 0
	}
	return n
}

func lines(root fs.FS, name string) func(yield func(string) bool) {
	text, _ := fs.ReadFile(root, name) // what cannot be read says nothing
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(text)) {
			if !yield(strings.TrimRight(line, "\n")) {
				return
			}
		}
	}
}

// contains says whether a comma-separated list has an entry.
func contains(list, entry string) bool {
	return strings.Contains(","+list+",", ","+entry+",")
}
