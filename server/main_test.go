package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/internal/cli"
	"sluice/internal/sdnotify/sdnotifytest"
)

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
		{[]string{"health", "--http", "127.0.0.1:0"}, 1, "unhealthy: 127.0.0.1:0 is any free port", ""},
		{[]string{"health", "--https", "127.0.0.1:0"}, 78, "", "--https: unknown flag; did you mean --http?"},
		{[]string{"--lissten=:1"}, 78, "", "--lissten: unknown flag; did you mean --listen?"},
		{[]string{"--listen", taken.Addr().String(), "--http=127.0.0.1:0", "--dead-letter-dir=" + letters}, 1, "", "listen tcp " + taken.Addr().String()},
		{[]string{"--http", taken.Addr().String(), "--listen=127.0.0.1:0", "--dead-letter-dir=" + letters}, 1, "", "listen tcp " + taken.Addr().String()},
	} {
		var stdout, stderr bytes.Buffer
		code := run(tc.args, nil, &stdout, &stderr, func() cli.Signals { return cli.Signals{} })
		if code != tc.code || !strings.Contains(stdout.String(), tc.stdout) || !strings.Contains(stderr.String(), tc.stderr) {
			t.Errorf("%v: exit %d\n%s\n%s", tc.args, code, stdout.String(), stderr.String())
		}
	}
}

var boundHTTP = regexp.MustCompile(`agents=127\.0\.0\.1:\d+ .*http=(127\.0\.0\.1:\d+)`)

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

// A server tells systemd when it is ready and when it stops, its bound addresses
// and, when asked, its health; a signal ends it with exit code 0 when it has
// nothing in hand.
func TestStopsOnSignal(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	systemd := sdnotifytest.Listen(t, socket)
	t.Setenv("NOTIFY_SOCKET", socket)
	log := &lines{seen: make(chan string, 100)}
	signals := make(chan os.Signal, 2)
	catch := func() cli.Signals { return cli.Signals{Stop: signals} }
	code := make(chan int)
	go func() {
		code <- run([]string{"--listen=127.0.0.1:0", "--http=127.0.0.1:0", "--workers=2", "--analyzers=a=tcp://127.0.0.1:1", "--dead-letter-dir=" + t.TempDir()}, nil, os.Stdout, log, catch)
	}()
	limit := time.After(30 * time.Second)
	http := ""
	for http == "" {
		select {
		case line := <-log.seen:
			if bound := boundHTTP.FindStringSubmatch(line); bound != nil {
				http = bound[1]
			}
		case c := <-code:
			t.Fatalf("exit %d before it started: %s", c, log.text)
		case <-limit:
			t.Fatal("it did not start")
		}
	}
	if got := systemd.Told(t); got != "READY=1" {
		t.Errorf("told %q", got)
	}
	var said bytes.Buffer
	if c := run([]string{"health"}, cli.Environ{"HTTP_LISTEN=" + http}, &said, &said, catch); c != 1 ||
		!strings.Contains(said.String(), "no analyzer takes packets") {
		t.Errorf("health: exit %d, %q", c, said.String())
	}
	signals <- syscall.SIGTERM
	if got := systemd.Told(t); got != "STOPPING=1" {
		t.Errorf("told %q", got)
	}
	select {
	case c := <-code:
		if c != 0 {
			t.Errorf("exit %d: %s", c, log.text)
		}
	case <-limit:
		t.Fatal("it did not stop")
	}
}

// A file that is empty or names no analyzers replaces nothing, whatever it was
// that emptied it; the distributor says so until a good file comes.
func TestReloadOfAFileWithoutAnalyzers(t *testing.T) {
	const good = "analyzers:\n- {name: a, address: '127.0.0.1:1'}\n"
	name := filepath.Join(t.TempDir(), "sluice.yaml")
	write := func(text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good)
	log := &lines{seen: make(chan string, 1000)}
	stop, hangup := make(chan os.Signal, 2), make(chan os.Signal, 1)
	catch := func() cli.Signals { return cli.Signals{Stop: stop, Reload: hangup} }
	code := make(chan int, 1)
	go func() {
		code <- run([]string{"--listen=127.0.0.1:0", "--http=127.0.0.1:0", "--workers=1", "--config=" + name, "--dead-letter-dir=" + t.TempDir()}, nil, os.Stdout, log, catch)
	}()
	logged := func(text string) string {
		limit := time.After(30 * time.Second)
		for {
			select {
			case line := <-log.seen:
				if strings.Contains(line, text) {
					return line
				}
			case c := <-code:
				t.Fatalf("exit %d: %s", c, log.text)
			case <-limit:
				t.Fatalf("nothing says %q", text)
			}
		}
	}
	bound := boundHTTP.FindStringSubmatch(logged("http=127"))[1]
	stats := func() (s struct {
		Generation int    `json:"config_generation"`
		Error      string `json:"config_last_error"`
		Analyzers  []struct{ Name string }
	}) {
		resp, err := http.Get("http://" + bound + "/stats")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	generation := 1
	for _, bad := range []string{"", "# " + good[:9] + "\n", "null", "---\n", "analyzers:", "analyzers: []", "max_queue: 9\n", "max_queue:\n", good[:20], strings.Repeat("\x00", 100)} {
		write(bad)
		hangup <- syscall.SIGHUP
		logged("the configuration is not reloaded")
		if s := stats(); s.Generation != generation || s.Error == "" || len(s.Analyzers) != 1 || s.Analyzers[0].Name != "a" {
			t.Errorf("after %q: %+v", bad, s)
		}
		write(good)
		hangup <- syscall.SIGHUP
		logged("configuration reloaded")
		generation++
		if s := stats(); s.Generation != generation || s.Error != "" {
			t.Errorf("after a good file: %+v", s)
		}
	}
	stop <- syscall.SIGTERM
	if c := <-code; c != 0 {
		t.Errorf("exit %d: %s", c, log.text)
	}
}
