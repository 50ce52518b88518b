package machine

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

const (
	gib     = 1 << 30
	meminfo = "MemTotal:        8388608 kB\nMemFree:  1 kB\n"
	v1Mount = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
	v2Mount = "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
	v1CPU   = "33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
	noLimit = "9223372036854771712\n"
)

func TestMemory(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  int64
		of    string
	}{
		"nothing can be read": {nil, 0, ""},
		"no cgroup":           {map[string]string{"proc/meminfo": meminfo}, 8 * gib, "the machine"},
		"v2": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/b/memory.max": "268435456\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 256 << 20, "the cgroup"},
		"v2, the one around it is narrower": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b/c\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/b/c/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.max": "4294967296\n", "sys/fs/cgroup/a/memory.max": "1073741824\n"}, gib, "the cgroup"},
		"v2, a namespace of its own": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/memory.max": "1073741824\n"}, gib, "the cgroup"},
		"v2, no limit at all": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/memory.max": "max\n"}, 8 * gib, "the machine"},
		"v1": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu:/x\n4:memory:/p/q\n0::/\n", "proc/self/mountinfo": v1CPU + v1Mount,
			"sys/fs/cgroup/memory/p/q/memory.limit_in_bytes": noLimit, "sys/fs/cgroup/memory/p/memory.limit_in_bytes": "2147483648\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": noLimit, "sys/fs/cgroup/cpu/x/memory.limit_in_bytes": "1\n"}, 2 * gib, "the cgroup"},
		"v1 and v2": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "4:cpu,memory:/p\n0::/a\n",
			"proc/self/mountinfo":                          v1Mount + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/memory/p/memory.limit_in_bytes": "2147483648\n", "sys/fs/cgroup/unified/a/memory.max": "1073741824\n"}, gib, "the cgroup"},
		"v1 in a container that is named as on the host": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/docker/77\n",
			"proc/self/mountinfo":                        "35 31 0:32 /docker/77 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n"}, gib, "the cgroup"},
		"a cgroup outside of what is seen": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/../other\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/memory.max": "1073741824\n"}, gib, "the cgroup"},
		"more than the machine has": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/memory.max": "1099511627776\n"}, 8 * gib, "the machine"},
		"nonsense": {map[string]string{"proc/meminfo": "MemTotal: lots kB\n", "proc/self/cgroup": "0::\nx\n", "proc/self/mountinfo": "- cgroup2\n" + v2Mount,
			"sys/fs/cgroup/memory.max": "many\n"}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for file, text := range tc.files {
				root[file] = &fstest.MapFile{Data: []byte(text)}
			}
			if got, of := memory(root); got != tc.want || of != tc.of {
				t.Errorf("%d of %q, want %d of %q", got, of, tc.want, tc.of)
			}
		})
	}
}

func TestDescriptorsAreRaisedToTheHardLimit(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	low := unix.Rlimit{Cur: before.Max / 2, Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	facts := Read()
	var after unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &after); err != nil {
		t.Fatal(err)
	}
	if after.Cur != before.Max || facts.Descriptors != int64(min(before.Max, math.MaxInt64)) {
		t.Errorf("limit is %d, said to be %d, want %d", after.Cur, facts.Descriptors, before.Max)
	}
	if facts.CPUs < 1 {
		t.Errorf("%d CPUs", facts.CPUs)
	}
}

func TestTheLowerMemoryLimitHolds(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	debug.SetMemoryLimit(math.MaxInt64) // GOMEMLIMIT is not set
	for _, tc := range []struct{ set, want int64 }{{0, math.MaxInt64}, {8 * gib, 8 * gib}, {16 * gib, 8 * gib}, {4 * gib, 4 * gib}} {
		if got := LimitMemory(tc.set); got != tc.want || debug.SetMemoryLimit(-1) != tc.want {
			t.Errorf("set %d: says %d, holds %d, want %d", tc.set, got, debug.SetMemoryLimit(-1), tc.want)
		}
	}
}
