package main

import (
	"bytes"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func noEnv(string) (string, bool) { return "", false }

func TestExitCodes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	letters := t.TempDir()
	for _, tc := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"--help"}, 0, "Exit codes", ""},
		{[]string{"--version"}, 0, "go1", ""},
		{[]string{"--check", "--workers=3"}, 0, "flag --workers", ""},
		{[]string{"--check", "--workers=x", "--spill=y"}, 78, "flag --workers", "--workers \"x\": must be a whole number from 0 to 1024\n--spill \"y\": must be elastic or strict\n"},
		{[]string{"dead-letters", "--help"}, 0, "replay", ""},
		{[]string{"dead-letters", "list", "--dead-letter-dir", letters}, 0, "", ""},
		{[]string{"--lissten=:1"}, 78, "", "--lissten: is no flag"},
		{[]string{"--listen", taken.Addr().String(), "--http=127.0.0.1:0", "--dead-letter-dir=" + letters}, 1, "", "listen tcp " + taken.Addr().String()},
		{[]string{"--http", taken.Addr().String(), "--listen=127.0.0.1:0", "--dead-letter-dir=" + letters}, 1, "", "listen tcp " + taken.Addr().String()},
	} {
		var stdout, stderr bytes.Buffer
		code := run(tc.args, noEnv, &stdout, &stderr, nil)
		if code != tc.code || !strings.Contains(stdout.String(), tc.stdout) || !strings.Contains(stderr.String(), tc.stderr) {
			t.Errorf("%v: exit %d\n%s\n%s", tc.args, code, stdout.String(), stderr.String())
		}
	}
}

// lines tells of each line that the log writes.
type lines struct {
	mu   sync.Mutex
	text string
	seen chan string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(p)
	select {
	case l.seen <- string(p):
	default:
	}
	return len(p), nil
}

// A signal ends a server that has nothing in hand with exit code 0, and its
// bound addresses were told.
func TestStopsOnSignal(t *testing.T) {
	log := &lines{seen: make(chan string, 100)}
	signals := make(chan os.Signal, 2)
	code := make(chan int)
	go func() {
		code <- run([]string{"--listen=127.0.0.1:0", "--http=127.0.0.1:0", "--workers=2", "--analyzers=a=tcp://127.0.0.1:1", "--dead-letter-dir=" + t.TempDir()}, noEnv, os.Stdout, log, signals)
	}()
	limit := time.After(30 * time.Second)
	for started := false; !started; {
		select {
		case line := <-log.seen:
			started = strings.Contains(line, "agents=127.0.0.1:") && strings.Contains(line, "http=127.0.0.1:")
		case c := <-code:
			t.Fatalf("exit %d before it started: %s", c, log.text)
		case <-limit:
			t.Fatal("it did not start")
		}
	}
	signals <- syscall.SIGTERM
	select {
	case c := <-code:
		if c != 0 {
			t.Errorf("exit %d: %s", c, log.text)
		}
	case <-limit:
		t.Fatal("it did not stop")
	}
}
