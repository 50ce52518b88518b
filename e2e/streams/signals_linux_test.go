package streams

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/await"
)

// SIGTERM among SIGHUPs, before and behind it, is never lost.
func TestSIGTERMIsNotLostAmongSIGHUPs(t *testing.T) {
	_, addr, _ := analyzer(t, null(t))
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	config := fmt.Sprintf("analyzers:\n  - {name: a, address: %q, weight: 1}\n", addr)
	for i := range 60 { // the more, the longer a reload takes; nobody is there
		config += fmt.Sprintf("  - {name: a%d, address: \"127.0.0.1:%d\", weight: %d}\n", i, i+1, i+1)
	}
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		server, _, _ := distributor(t, null(t), t.TempDir(), nil, "--config", file)
		for range 30 {
			server.signal(syscall.SIGHUP)
		}
		server.signal(syscall.SIGTERM)
		for range 30 {
			server.signal(syscall.SIGHUP)
		}
		if code := server.exit(); code != 0 {
			t.Errorf("the distributor's exit code is %d", code)
		}
	}
	for range 5 {
		web := freeAddr(t)
		agent := start(t, null(t), null(t), "agent", "--addr", addr, "--http", web, "--file", filepath.Join(t.TempDir(), "*.log"), "--state", t.TempDir())
		ready(t, web, "/health")
		for range 30 {
			agent.signal(syscall.SIGHUP)
		}
		agent.signal(syscall.SIGTERM)
		for range 30 {
			agent.signal(syscall.SIGHUP)
		}
		if code := agent.exit(); code != 0 {
			t.Errorf("the agent's exit code is %d", code)
		}
	}
}

// A storm of SIGHUPs is obeyed: the last change of the file is in force at its
// end.
func TestTheLastOfManySIGHUPsCounts(t *testing.T) {
	_, addr, _ := analyzer(t, null(t))
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	write := func(weight int) {
		text := fmt.Sprintf("analyzers:\n  - {name: a, address: %q, weight: %d}\n", addr, weight)
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(1)
	server, _, web := distributor(t, null(t), t.TempDir(), nil, "--config", file)
	for i := range 100 {
		write(2 + i)
		server.signal(syscall.SIGHUP)
	}
	await.True(t, "the last weight is in force", func() bool {
		_, stats := get(web, "/stats")
		return strings.Contains(stats, `"weight":101,`)
	})
}

// A second SIGTERM ends the waiting for an analyzer that hangs, and loses
// nothing that was answered 202; nor does a third.
func TestASecondSIGTERMLosesNothing(t *testing.T) {
	const packets = 300
	receipts := filepath.Join(t.TempDir(), "receipts")
	hangs, addr, _ := analyzer(t, null(t), "--receipts", receipts)
	letters := t.TempDir()
	log := logFile(t)
	server, _, web := distributor(t, log, letters, []string{addr}, "--grace", "10m")
	hangs.signal(syscall.SIGSTOP)
	for i := range packets {
		if status := ingest(t, web, "", fmt.Sprint("p", i)); status != http.StatusAccepted {
			t.Fatalf("status %d", status)
		}
	}
	server.signal(syscall.SIGTERM)
	await.True(t, "it is stopping", func() bool { return strings.Contains(text(t, log), "msg=stopping ") })
	server.signal(syscall.SIGTERM)
	server.signal(syscall.SIGINT)
	if code := server.exit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	out, err := exec.Command(filepath.Join(bin, "server"), "dead-letters", "list", "--dead-letter-dir", letters).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	buried := 0
	if found := waiting.FindSubmatch(out); found != nil {
		buried, _ = strconv.Atoi(string(found[1]))
	}
	// Some may have been delivered: SIGSTOP takes a moment to stop all threads.
	got, err := os.ReadFile(receipts)
	if err != nil {
		t.Fatal(err)
	}
	received := strings.Count(string(got), "\n")
	if buried+received < packets || received == packets {
		t.Errorf("of %d packets %d were received, and %d are dead letters\n%s", packets, received, buried, text(t, log))
	}
}

// waiting is what "dead-letters list" says last.
var waiting = regexp.MustCompile(`(\d+) packets wait for delivery`)

// A second SIGTERM to an agent whose distributor hangs ends it, and what it had
// the answers to is in its state.
func TestASecondSIGTERMToAnAgent(t *testing.T) {
	hangs, addr, _ := analyzer(t, null(t))
	file := filepath.Join(t.TempDir(), "a.log")
	if err := os.WriteFile(file, []byte("INFO first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	web, log := freeAddr(t), logFile(t)
	agent := start(t, null(t), log, "agent", "--addr", addr, "--http", web, "--file", file, "--state", t.TempDir())
	await.True(t, "the first line is delivered", func() bool {
		_, stats := get(web, "/stats")
		return strings.Contains(stats, `"delivered_records":1,`)
	})
	hangs.signal(syscall.SIGSTOP)
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("INFO second\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	await.True(t, "the second waits for its answer", func() bool {
		_, stats := get(web, "/stats")
		return strings.Contains(stats, `"unsettled_packets":1,`)
	})
	agent.signal(syscall.SIGTERM)
	await.True(t, "it is stopping", func() bool { return strings.Contains(text(t, log), "msg=stopping ") })
	agent.signal(syscall.SIGTERM)
	if code := agent.exit(); code != 1 {
		t.Errorf("exit code %d\n%s", code, text(t, log))
	}
	if said := text(t, log); !strings.Contains(said, "agent stopped") {
		t.Errorf("it did not come to its end:\n%s", said)
	}
}
