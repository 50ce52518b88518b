package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// about says where, when and how it was measured.
type about struct {
	Date     time.Time `json:"date"`
	Command  string    `json:"command"`
	Commit   string    `json:"commit"` // of the working tree; "-dirty" with changes
	CPU      string    `json:"cpu"`
	Cores    int       `json:"cores"`
	MemoryMB int64     `json:"memory_mib"`
	Kernel   string    `json:"kernel"`
	Load     string    `json:"load_average"` // before the first run
	Rounds   int       `json:"rounds"`
	Seconds  float64   `json:"seconds_a_run"`
	Agents   int       `json:"agents"`
	Size     int       `json:"record_bytes"`
	Flags    []string  `json:"server_flags,omitempty"`
}

func (c *compareCmd) about(ctx context.Context) about {
	a := about{Date: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Rounds: c.Runs, Agents: c.Agents,
		Size: c.Size, Seconds: c.Duration.Seconds(), Flags: c.ServerFlag,
		Command: strings.Join(append([]string{"go run ./bench/peers"}, os.Args[1:]...), " ")}
	a.Commit = word(ctx, "git", "rev-parse", "--short=12", "HEAD")
	if word(ctx, "git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=no") != "" {
		a.Commit += "-dirty"
	}
	a.Kernel = word(ctx, "uname", "-sr")
	a.CPU = procField("/proc/cpuinfo", "model name")
	fmt.Sscan(procField("/proc/meminfo", "MemTotal"), &a.MemoryMB)
	a.MemoryMB >>= 10
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		a.Load = strings.Join(strings.Fields(string(text))[:1], "")
	}
	return a
}

// busy says that the machine had other work.
func (a about) busy() bool {
	var load float64
	fmt.Sscan(a.Load, &load)
	return load > 0.5
}

// word is what a program says, or "" if it cannot.
func word(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// procField is the first value of that name in a file of /proc.
func procField(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
