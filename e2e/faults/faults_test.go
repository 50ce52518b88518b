package faults

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"sluice/e2e/harness"
)

// TestMain lets rows that mostly wait run beside each other: by default go
// test runs as many as there are cores, and these need a tenth of one.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(strconv.Itoa(beside)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

const beside = 5

// TestFaults is the short form of `make chaos`: each row, each fault a few
// times. The programs are built without the race detector whatever this test
// is, so running it with the detector would only slow the agents down; package
// client has its own tests for races.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: real processes and real time")
	}
	if underRace {
		t.Skip("SKIPPED: the programs run without the race detector; `go test ./e2e/faults` runs this")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
	defer cancel()
	lab, err := harness.NewLab(ctx, t.TempDir(), os.Getenv("E2E_BIN"))
	if err != nil {
		t.Fatal(err)
	}
	var form harness.Form
	for _, row := range Rows() {
		t.Run(row.ID, func(t *testing.T) {
			if !row.Alone {
				t.Parallel()
			}
			res := lab.Execute(&row, form)
			t.Logf("%s, %s: %s in %.1f s; %d of %d times, %d acknowledged, lost %d, dup %d of at most %d, settled within %v; %v", row.ID, row.Fault, res.Status(),
				res.Took.Seconds(), res.Times, res.Due, res.Acked, res.Lost, res.Dup, res.Bound, res.Settle.Round(time.Millisecond), res.Seen)
			if !res.Passed() {
				t.Error(res.Why())
			}
		})
	}
}
