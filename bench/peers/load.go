package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// load is what loadgen is asked for.
type load struct {
	bin      string
	addr     string
	proto    string // binary or http
	agents   int
	size     int
	rate     float64 // packets/s; 0: as many as possible
	duration time.Duration
}

// loadResult is what loadgen's JSON says, as far as it is of use here.
type loadResult struct {
	Elapsed          float64           `json:"elapsed_seconds"`
	Sent             uint64            `json:"sent_packets"`
	Delivered        uint64            `json:"delivered_packets"`
	Failed           uint64            `json:"failed_packets"`
	Bytes            uint64            `json:"sent_bytes"`
	Busy             uint64            `json:"busy_answers"`
	Resends          uint64            `json:"resends"`
	PacketsPerSecond float64           `json:"packets_per_second"`
	Latency          latency           `json:"latency_ms"`
	Failures         map[string]uint64 `json:"failures"`

	cpu time.Duration // of loadgen
}

// latency is in milliseconds.
type latency struct {
	Samples int64   `json:"samples"`
	P50     float64 `json:"p50"`
	P90     float64 `json:"p90"`
	P99     float64 `json:"p99"`
	P999    float64 `json:"p99.9"`
	Max     float64 `json:"max"`
}

// run sends, and returns when the last answer has come. Packets that were not
// delivered are no error, but told.
func (l load) run(ctx context.Context) (loadResult, error) {
	args := []string{"--proto", l.proto, "--addr", l.addr, "-c", strconv.Itoa(l.agents), "-d", l.duration.String(),
		"--json", "-", "--progress", "never", "--log-level", "error"}
	if l.proto == "binary" {
		args = append(args, "--size", strconv.Itoa(l.size))
	}
	if l.rate > 0 {
		args = append(args, "-r", strconv.FormatFloat(l.rate, 'f', -1, 64))
	}
	out, cpu, err := output(ctx, exec.CommandContext(ctx, l.bin+"/loadgen", args...))
	// The summary for people comes first, then the object.
	at := bytes.Index(out, []byte("\n{"))
	if at < 0 {
		return loadResult{}, fmt.Errorf("loadgen: %w; it said:\n%s", err, out)
	}
	r := loadResult{cpu: cpu}
	if err := json.Unmarshal(out[at:], &r); err != nil {
		return r, fmt.Errorf("loadgen: %w", err)
	}
	if r.Delivered == 0 {
		return r, fmt.Errorf("loadgen delivered nothing: %s", out[:at])
	}
	return r, nil
}

// sendRecords has this program's own agents send records.
func sendRecords(ctx context.Context, d dialect, addr string, agents, size int, duration time.Duration) (s sent, cpu time.Duration, err error) {
	self, err := os.Executable()
	if err != nil {
		return s, 0, err
	}
	out, cpu, err := output(ctx, exec.CommandContext(ctx, self, "send", "--dialect", string(d), "--addr", addr,
		"--agents", strconv.Itoa(agents), "--size", strconv.Itoa(size), "--duration", duration.String()))
	if err != nil {
		return s, cpu, fmt.Errorf("agents: %w", err)
	}
	return s, cpu, json.Unmarshal(out, &s)
}

// output runs a program to its end, and returns what it said and the CPU that
// it took. What it says on standard error is part of the error.
func output(ctx context.Context, cmd *exec.Cmd) (out []byte, cpu time.Duration, err error) {
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err = cmd.Output()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	if s := cmd.ProcessState; s != nil {
		cpu = s.UserTime() + s.SystemTime()
	}
	return out, cpu, err
}
