package streams

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/await"
)

// The distributor and its analyzers have something to log that nobody takes, and
// go on: packets are delivered, the analyzer that died is found, probes are
// answered, and a stop is a stop.
func TestTheDistributorGoesOn(t *testing.T) {
	for _, stderr := range badStreams {
		t.Run(stderr.name, func(t *testing.T) {
			t.Parallel()
			good, addr, _ := analyzer(t, stderr.open(t))
			bad, victim, _ := analyzer(t, stderr.open(t))
			server, _, web := distributor(t, stderr.open(t), t.TempDir(), []string{addr, victim}, "--log-level", "debug")
			if status := ingest(t, web, "?wait=30s", "before"); status != http.StatusOK {
				t.Fatalf("status %d", status)
			}
			bad.signal(syscall.SIGKILL)
			await.True(t, "its death is found", func() bool {
				_, health := get(web, "/health")
				return strings.Contains(health, `"state":"down"`)
			})
			for _, id := range []string{"one", "two", "three"} {
				if status := ingest(t, web, "?wait=30s", id); status != http.StatusOK {
					t.Errorf("status %d after the death", status)
				}
			}
			for _, path := range []string{"/healthz", "/readyz", "/stats", "/metrics"} {
				if status, said := get(web, path); status != http.StatusOK {
					t.Errorf("%s: %d %s", path, status, said)
				}
			}
			if _, said := get(web, "/metrics"); (stderr.name == "gone" || stderr.name == "full") == strings.Contains(said, "\nsluice_dropped_log_lines_total 0\n") {
				t.Error("/metrics has a wrong number of dropped lines")
			}
			server.signal(syscall.SIGTERM)
			if code := server.exit(); code != 0 {
				t.Errorf("the distributor's exit code is %d", code)
			}
			good.signal(syscall.SIGTERM)
			if code := good.exit(); code != 0 {
				t.Errorf("the analyzer's exit code is %d", code)
			}
		})
	}
}

// With the reader back, the first lines are whole, and the counter and the log
// agree on how many are missing.
func TestALogThatFlowsAgainSaysWhatIsMissing(t *testing.T) {
	r, w := pipe(t)
	fill(t, w)
	_, addr, _ := analyzer(t, null(t))
	dir := filepath.Join(t.TempDir(), strings.Repeat(strings.Repeat("x", 200)+"/", 15))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "sluice.yaml")
	if err := os.WriteFile(file, []byte("analyzers: [{name: a, address: \""+addr+"\"}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, _, web := distributor(t, w, t.TempDir(), nil, "--config", file)
	// Every reload logs a line, and a long one, because it has the file's path.
	if err := os.WriteFile(file, []byte("nonsense: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dropped := func() string {
		_, stats := get(web, "/stats")
		_, after, _ := strings.Cut(stats, `"dropped_log_lines":`)
		n, _, _ := strings.Cut(after, ",")
		return n
	}
	await.True(t, "lines are dropped", func() bool {
		server.signal(syscall.SIGHUP)
		return dropped() != "0"
	})
	w.Close()
	n := dropped()
	seen := make(chan string, 1)
	go func() {
		var all []byte
		b := make([]byte, 64<<10)
		for {
			k, err := r.Read(b)
			if all = append(all, b[:k]...); err != nil || strings.Contains(string(all), "lines were dropped") && strings.HasSuffix(string(all), "\n") {
				seen <- string(all)
				return
			}
		}
	}()
	all := await.Value(t, "what is missing", seen)
	for line := range strings.Lines(strings.TrimLeft(all, "\n")) {
		if !strings.HasPrefix(line, "time=") || !strings.HasSuffix(line, "\n") {
			t.Errorf("a torn line: %q", line)
		}
	}
	if !strings.Contains(all, `msg="log lines were dropped: nobody took them" lines=`) || n == "0" {
		t.Errorf("%s dropped, the log ends with %q", n, all[max(0, len(all)-300):])
	}
}

// An agent ships a file to its end whatever becomes of its log and its bar.
func TestTheAgentGoesOn(t *testing.T) {
	for _, stderr := range badStreams {
		t.Run(stderr.name, func(t *testing.T) {
			t.Parallel()
			output := filepath.Join(t.TempDir(), "output")
			_, addr, _ := analyzer(t, null(t), "--output", output)
			file := filepath.Join(t.TempDir(), "a.log")
			if err := os.WriteFile(file, []byte(strings.Repeat("INFO a line\n", 20000)), 0o600); err != nil {
				t.Fatal(err)
			}
			agent := start(t, stderr.open(t), stderr.open(t), "agent", "--once", "--progress", "always", "--file", file, "--addr", addr, "--log-level", "debug")
			if code := agent.exit(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			got, err := os.ReadFile(output)
			if n := strings.Count(string(got), "\n"); err != nil || n != 20000 {
				t.Errorf("%d lines arrived, %v", n, err)
			}
		})
	}
}

// Load is made to its end, and the exit code says what became of it.
func TestLoadgenGoesOn(t *testing.T) {
	for _, out := range badStreams {
		t.Run(out.name, func(t *testing.T) {
			t.Parallel()
			_, addr, web := analyzer(t, null(t))
			load := start(t, out.open(t), out.open(t), "loadgen", "-c", "2", "-n", "1000", "--progress", "always", "--addr", addr, "--log-level", "debug")
			if code := load.exit(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if _, stats := get(web, "/stats"); !strings.Contains(stats, `"received_packets":1000,`) {
				t.Errorf("the analyzer has not got 1000 packets: %s", stats)
			}
		})
	}
	t.Run("a report that cannot be written", func(t *testing.T) {
		_, addr, _ := analyzer(t, null(t))
		load := start(t, full(t), null(t), "loadgen", "-n", "10", "--json", "-", "--addr", addr)
		if code := load.exit(); code != 1 {
			t.Errorf("exit code %d", code)
		}
	})
}

// A demonstration that nobody watches is one all the same.
func TestTheDemoGoesOn(t *testing.T) {
	for _, out := range badStreams {
		t.Run(out.name, func(t *testing.T) {
			t.Parallel()
			demo := start(t, out.open(t), out.open(t), "demo", "--any-port", "--log-level", "debug", "weights")
			if code := demo.exit(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// A command whose product is what it prints ends when nobody reads on, as others
// do; one whose product is its exit code does not.
func TestCommandsWithoutAReader(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.log")
	if err := os.WriteFile(file, []byte(strings.Repeat("INFO a line\n", 20000)), 0o600); err != nil {
		t.Fatal(err)
	}
	log := logFile(t)
	if code := start(t, gone(t), log, "agent", "parse", file).exit(); code != 128+int(syscall.SIGPIPE) {
		t.Errorf("agent parse: exit code %d", code)
	}
	if said := text(t, log); said != "" {
		t.Errorf("agent parse says %q", said)
	}
	_, addr, web := analyzer(t, null(t))
	if code := start(t, gone(t), null(t), "analyzer", "health", "--listen", addr, "--http", web).exit(); code != 0 {
		t.Errorf("analyzer health: exit code %d", code)
	}
}
