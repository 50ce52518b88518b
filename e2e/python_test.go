package e2e

import (
	"bufio"
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestPython: the Python agent, which says no HELLO, hears that its packets
// were delivered, and the Python analyzer gets its share.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED: python3 is not installed, so the README's Python examples were not run")
	}
	s := newSystem(t, 1, 1)
	s.startAnalyzer(0)
	_, port, _ := strings.Cut(s.addrs[1], ":")
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	analyzer := exec.CommandContext(ctx, python, "../examples/python/analyzer.py", port)
	out, err := analyzer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := analyzer.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan int, 1)
	go func() {
		n := 0
		for sc := bufio.NewScanner(out); sc.Scan(); {
			n++
		}
		lines <- n
	}()
	s.startDistributor()
	s.await("the Python analyzer is up", s.allUp)
	report, err := exec.CommandContext(ctx, python, "../examples/python/agent.py", s.distributor.Addr().String(), "1000").CombinedOutput()
	if err != nil || string(report) != "1000 delivered, 0 refused\n" {
		t.Errorf("agent.py: %v, %s", err, report)
	}
	s.await("all delivered", func() bool { return s.distributor.Stats().DeliveredPackets == 1000 })
	if err := analyzer.Process.Kill(); err != nil {
		t.Error(err)
	}
	select {
	case n := <-lines:
		if n < 490 || n > 510 {
			t.Errorf("the Python analyzer printed %d packets of 1,000, its weight says 500", n)
		}
	case <-time.After(limit):
		t.Error("the Python analyzer's output does not end")
	}
	_ = analyzer.Wait() // it was killed
}
