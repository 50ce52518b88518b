//go:build linux

package process

import (
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const line = "42 (odd) name) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 5 6 7"
	s, err := parseStat([]byte(line))
	if err != nil || s != (procStat{pid: 42, parent: 7, cpu: 1240 * time.Millisecond}) {
		t.Fatalf("%+v, error %v", s, err)
	}
	for _, bad := range []string{"", "42 name S 7", "42 (x) S 7 1", "x (y) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// TestUsageHoldsChildren starts a child that burns CPU.
func TestUsageHoldsChildren(t *testing.T) {
	before, err := UsageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; read line")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if _, err := io.ReadFull(out, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	child, err := UsageOf(cmd.Process.Pid)
	if err != nil || child.CPU < 5*tick || child.PeakRSS < 100<<10 || child.Processes != 1 || child.Reads == 0 || child.Writes == 0 {
		t.Fatalf("the child: %+v, error %v", child, err)
	}
	after, err := UsageOf(os.Getpid())
	if err != nil || after.CPU-before.CPU < child.CPU || after.Processes != before.Processes+1 {
		t.Fatalf("before %+v, child %+v, after %+v, error %v", before, child, after, err)
	}
	if _, err := UsageOf(1 << 30); err == nil {
		t.Fatal("a process that does not exist was measured")
	}
}
