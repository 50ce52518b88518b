package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/await"
	"sluice/internal/cli"
	"sluice/internal/sdnotify/sdnotifytest"
)

// Under systemd: it tells when it is ready and when it stops, SIGHUP makes it
// look for files, and SIGTERM drains.
func TestLifeUnderSystemd(t *testing.T) {
	s := startSystem(t, 0)
	dir := t.TempDir()
	systemd := sdnotifytest.Listen(t, filepath.Join(dir, "notify"))
	web := freePort(t)
	agent := agentProcess(t, "--http", web, "--addr", s.addr(), "--file", filepath.Join(dir, "*.log"), "--state", filepath.Join(dir, "state"))
	agent.env = append(agent.env, "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "AGENT_ID=from-env")
	agent.start()
	if got := systemd.Told(t); !strings.HasPrefix(got, "READY=1") {
		t.Errorf("told %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "late.log"), []byte("late\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := agent.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the new file delivered", func() bool { return len(readOutputs(t, s.outputs)) == 1 })
	if r := readOutputs(t, s.outputs)[0]; !strings.HasPrefix(r.PacketID, "from-env/") || r.Message != "late" {
		t.Errorf("%+v", r)
	}
	var out, faults bytes.Buffer
	if code := run([]string{"health", "--http", web}, nil, &out, &faults); code != 0 || out.String() != "healthy\n" {
		t.Errorf("health: exit %d, %s%s", code, &out, &faults)
	}
	if code := run([]string{"health"}, nil, &out, &faults); code != cli.ExitConfig || !strings.Contains(faults.String(), "AGENT_HTTP") {
		t.Errorf("health without an address: exit %d, %s", code, &faults)
	}
	if err := agent.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := systemd.Told(t); got != "STOPPING=1" {
		t.Errorf("told %q", got)
	}
	err := agent.cmd.Wait()
	agent.cmd = nil
	if err != nil {
		t.Errorf("exit: %v", err)
	}
}
