package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/await"
)

// Under systemd: it tells when it is ready and when it stops, SIGHUP makes it
// look for files, and SIGTERM drains.
func TestLifeUnderSystemd(t *testing.T) {
	s := startSystem(t, 0)
	dir := t.TempDir()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	told := func() string {
		buf := make([]byte, 1024)
		if err := notify.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
			t.Fatal(err)
		}
		n, err := notify.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	agent := agentProcess(t, "--addr", s.addr(), "--file", filepath.Join(dir, "*.log"), "--state", filepath.Join(dir, "state"))
	agent.env = append(agent.env, "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "AGENT_ID=from-env")
	agent.start()
	if got := told(); !strings.HasPrefix(got, "READY=1") {
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
	if err := agent.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := told(); got != "STOPPING=1" {
		t.Errorf("told %q", got)
	}
	err = agent.cmd.Wait()
	agent.cmd = nil
	if err != nil {
		t.Errorf("exit: %v", err)
	}
}
