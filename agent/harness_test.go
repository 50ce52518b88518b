package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/agent/node"
	analyzer "sluice/analyzer/node"
	"sluice/internal/await"
	"sluice/server/config"
	distributor "sluice/server/node"
	"sluice/server/stats"
)

// asProgram makes the test binary be the agent itself.
const asProgram = "SLUICE_TEST_AS_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// system is a distributor with two analyzers in this process, each with an
// output.
type system struct {
	analyzers   []*analyzer.Node
	outputs     []string
	distributor *distributor.Node
}

// startSystem starts them; ackDelay is how long the analyzers hold ACKs back.
func startSystem(t *testing.T, ackDelay time.Duration) *system {
	t.Helper()
	s := &system{}
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Listen, cfg.HTTPListen, cfg.Analyzers = "127.0.0.1:0", "127.0.0.1:0", nil
	cfg.DeadLetterDir = filepath.Join(dir, "dead")
	for i := range 2 {
		name := fmt.Sprint("analyzer-", i+1)
		out := filepath.Join(dir, name+".ndjson")
		a, err := analyzer.Start(analyzer.Config{Name: name, Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Output: out, Delay: ackDelay})
		if err != nil {
			t.Fatal(err)
		}
		s.analyzers, s.outputs = append(s.analyzers, a), append(s.outputs, out)
		cfg.Analyzers = append(cfg.Analyzers, config.Analyzer{Name: name, Addr: a.Addr(), Weight: 1})
	}
	var err error
	if s.distributor, err = distributor.Start(cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.distributor.Shutdown(ctx); err != nil {
			t.Errorf("distributor: %v", err)
		}
		for _, a := range s.analyzers {
			if err := a.Stop(ctx); err != nil {
				t.Errorf("analyzer: %v", err)
			}
		}
	})
	await.True(t, "all analyzers up", func() bool { return s.distributor.Health().Status == stats.Healthy })
	return s
}

func (s *system) addr() string { return s.distributor.Addr().String() }

// received is one line of an analyzer's output.
type received struct {
	PacketID  string         `json:"packet_id"`
	Timestamp time.Time      `json:"timestamp"`
	Level     string         `json:"level"`
	Source    string         `json:"source"`
	Message   string         `json:"message"`
	Metadata  map[string]any `json:"metadata"`
	output    string
}

func (r *received) path() string  { return fmt.Sprint(r.Metadata["path"]) }
func (r *received) offset() int64 { return int64(r.Metadata["offset"].(float64)) }

// readOutputs reads whole lines only: an analyzer may be writing.
func readOutputs(t *testing.T, paths []string) []received {
	t.Helper()
	var out []received
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		for in := bufio.NewReaderSize(f, 1<<20); ; {
			line, err := in.ReadBytes('\n')
			if errors.Is(err, io.EOF) {
				break
			}
			r := received{output: p}
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatalf("%s: %v in %q", p, err, line)
			}
			out = append(out, r)
		}
		f.Close()
	}
	return out
}

// built is where the server and the analyzer were built, once for all tests.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func programs() (string, error) {
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "sluice-agent-test"); built.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", built.dir+"/", "sluice/server", "sluice/analyzer").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	return built.dir, built.err
}

// process is a program that is killed and started again.
type process struct {
	t    *testing.T
	path string
	args []string
	env  []string
	log  *os.File
	cmd  *exec.Cmd
}

func newProcess(t *testing.T, path string, env, args []string) *process {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), filepath.Base(path)+"*.log")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, path: path, env: env, args: args, log: log}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", filepath.Base(path), text[max(0, len(text)-3000):])
		}
	})
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.path, p.args...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends it as kill -9 does. It may have ended before.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}

// agentProcess is this test binary as the agent.
func agentProcess(t *testing.T, args ...string) *process {
	return newProcess(t, os.Args[0], []string{asProgram + "=1"}, args)
}

// freePort returns a port that nobody listens on at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func listening(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// serverProcess is a real distributor on fixed ports, before one analyzer.
func serverProcess(t *testing.T, analyzerAddr string) (p *process, addr, web string) {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	addr, web = freePort(t), freePort(t)
	p = newProcess(t, filepath.Join(dir, "server"), []string{
		"LISTEN=" + addr, "HTTP_LISTEN=" + web, "ANALYZERS=a=tcp://" + analyzerAddr + "?weight=1",
		"DEAD_LETTER_DIR=" + t.TempDir(), "LOG_LEVEL=warn"}, nil)
	return p, addr, web
}

func logTail(text string) string { return strings.TrimSpace(text[max(0, len(text)-2000):]) }

type nodeStats = node.Stats

func getStats(t *testing.T, addr string) (s nodeStats) {
	t.Helper()
	r, err := http.Get("http://" + addr + "/stats")
	if err != nil {
		return s
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}
