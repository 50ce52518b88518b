package main

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/cli"
	"sluice/internal/sdnotify/sdnotifytest"
	"sluice/protocol"
)

// asProgram makes the test binary be the analyzer itself.
const asProgram = "SLUICE_TEST_AS_ANALYZER"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), append(env, asProgram+"=1")...)
	return cmd
}

// started runs the analyzer on free ports and returns its packets' address.
func started(t *testing.T, args ...string) (cmd *exec.Cmd, addr string) {
	t.Helper()
	return startedAt(t, "listen=", args...)
}

// startedHTTP is the same with the address of HTTP.
func startedHTTP(t *testing.T) (cmd *exec.Cmd, addr string) {
	t.Helper()
	return startedAt(t, "http=")
}

func startedAt(t *testing.T, key string, args ...string) (cmd *exec.Cmd, addr string) {
	t.Helper()
	cmd = program(t, []string{"LISTEN=127.0.0.1:0", "HTTP_LISTEN=127.0.0.1:0"}, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it ended before it started: %v", err)
		}
		if _, rest, ok := strings.Cut(line, " "+key); ok {
			addr, _, _ = strings.Cut(rest, " ")
			return cmd, addr
		}
	}
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return exit.ExitCode()
}

func TestBadConfigurationTellsEveryFault(t *testing.T) {
	cmd := program(t, []string{"DISCARD=perhaps", "MAX_FRAME_BYTES=lots", "LOG_LEVEL=loud"},
		"--delay=soon", "--listen", "nowhere", "--nope=3", "--log-format", "xml")
	out, err := cmd.CombinedOutput()
	if code := exitCode(t, err); code != 78 {
		t.Errorf("exit %d", code)
	}
	for _, word := range []string{"perhaps", "lots", "loud", "soon", "nowhere", "--nope", "xml"} {
		if !bytes.Contains(out, []byte(word)) {
			t.Errorf("nothing about %s in:\n%s", word, out)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, flag := range []string{"--help", "--version"} {
		out, err := program(t, []string{"ACK_DELAY=0"}, flag).Output()
		if err != nil || !bytes.Contains(out, []byte("analyzer")) {
			t.Errorf("%s: %v, %q", flag, err, out)
		}
	}
}

func TestPrecedence(t *testing.T) {
	env := cli.Environ{"ANALYZER_NAME=from-env", "ACK_DELAY=0.5", "DISCARD=true", "LISTEN="}
	f, parsed, err := parse([]string{"--name", "from-flag", "--discard=false"}, env, os.Stderr)
	if parsed.Done || err != nil || f.Name != "from-flag" || f.Delay != 500*time.Millisecond || f.Discard || f.Listen != ":9001" || f.MaxFrame != 1<<20 {
		t.Errorf("%+v, %+v, %v", f, parsed, err)
	}
	if f, _, err = parse([]string{"--discard", "--name=x"}, nil, os.Stderr); err != nil || !f.Discard || f.Name != "x" {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	out, err := program(t, nil, "--listen", ln.Addr().String(), "--http", "127.0.0.1:0").CombinedOutput()
	if code := exitCode(t, err); code != 1 || !bytes.Contains(out, []byte(ln.Addr().String())) {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

// Systemd hears of the analyzer's start and stop, and whoever asks hears of its
// health.
func TestHealthAndSystemd(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	systemd := sdnotifytest.Listen(t, socket)
	t.Setenv("NOTIFY_SOCKET", socket)
	cmd, http := startedHTTP(t)
	if got := systemd.Told(t); got != "READY=1" {
		t.Errorf("told %q", got)
	}
	health := func() (string, int) {
		out, err := program(t, []string{"HTTP_LISTEN=" + http}, "health").CombinedOutput()
		return string(out), exitCode(t, err)
	}
	if said, code := health(); code != 0 || said != "healthy\n" {
		t.Errorf("exit %d, %q", code, said)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if got := systemd.Told(t); got != "STOPPING=1" {
		t.Errorf("told %q", got)
	}
	if code := exitCode(t, cmd.Wait()); code != 0 {
		t.Errorf("exit %d", code)
	}
	if said, code := health(); code != 1 || !strings.Contains(said, "connection refused") {
		t.Errorf("exit %d, %q", code, said)
	}
}

// SIGTERM settles what was received, although its ACK is held back.
func TestSIGTERM(t *testing.T) {
	cmd, addr := started(t, "--delay", "3600")
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	out := protocol.AppendFrame(nil, protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "p", AgentID: "a"}))
	if _, err := nc.Write(protocol.AppendPing(out, 1)); err != nil {
		t.Fatal(err)
	}
	in := protocol.NewFrameReader(nc, 0)
	var ops []protocol.Opcode
	for {
		body, err := in.Next()
		if err != nil {
			break
		}
		var c protocol.Control
		if err := protocol.ParseControl(body, &c); err != nil {
			t.Fatal(err)
		}
		ops = append(ops, c.Op)
		if c.Op == protocol.OpPong {
			cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	seen := map[protocol.Opcode]bool{}
	for _, op := range ops {
		seen[op] = true
	}
	if !seen[protocol.OpAck] || !seen[protocol.OpGoaway] {
		t.Errorf("answers %v", ops)
	}
	if code := exitCode(t, cmd.Wait()); code != 0 {
		t.Errorf("exit %d", code)
	}
}
