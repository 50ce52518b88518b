package e2e

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/testsystem"
)

// lastRelease is the commit of the last release: its agents, analyzers and
// distributors must work with ours, because no fleet is updated at once.
const lastRelease = "31b7c4b52400e77f2100949d92f5d172de6cdf50"

// TestVersionSkew runs agents, analyzers and distributors of the last release
// together with ours, in every mixture: all is delivered once, and the ledger
// is exact.
func TestVersionSkew(t *testing.T) {
	packages := []string{"./server", "./analyzer", "./agent", "./loadgen"}
	before, err := testsystem.BuildCommit(t.Context(), lastRelease, packages...)
	if errors.Is(err, testsystem.ErrNoCommit) {
		t.Skipf("SKIPPED: %v, so no version but this one was tested", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	now, err := testsystem.Build(t.Context(), t.TempDir(), packages...)
	if err != nil {
		t.Fatal(err)
	}
	versions := []testsystem.Programs{now, before}
	for mix := range 7 { // 7 is the last release alone
		agent, server, analyzer := mix&1, mix>>1&1, mix>>2&1
		name := func(v int) string { return []string{"new", "old"}[v] }
		t.Run(fmt.Sprintf("%s agent, %s distributor, %s analyzers", name(agent), name(server), name(analyzer)), func(t *testing.T) {
			// A starved machine is not a slow analyzer: what is asserted are counts.
			s := testsystem.Start(t, testsystem.Options{Server: versions[server], Analyzer: versions[analyzer],
				Weights: []float64{50, 30, 20}, Flags: []string{"--spill-after", "60", "--silence", "60", "--ack-timeout", "60"}})
			exchange(t, s, versions[agent])
		})
	}
}

// exchange sends something of every kind through a system, and judges it.
func exchange(t *testing.T, s *testsystem.System, agent testsystem.Programs) {
	const plain, compressed, posted, lines = 4000, 1000, 500, 2000
	loadgen := func(name string, packets int, args ...string) {
		s.Run(name, agent.Path("loadgen"), append([]string{"-n", fmt.Sprint(packets), "-c", "4", "--progress", "never"}, args...)...)
	}
	loadgen("plain", plain, "--addr", s.Addr)
	for _, how := range []string{"zstd", "s2", "gzip"} {
		loadgen(how, compressed, "--addr", s.Addr, "--compress", how, "--messages", "10")
	}
	loadgen("posted", posted, "--addr", s.HTTP, "--proto", "http")

	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, "2026-01-02T03:04:05Z INFO skewed line %d.\n", i)
	}
	file := filepath.Join(s.Dir, "app.log")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Run("agent", agent.Path("agent"), "--once", "--addr", s.Addr, "--file", file, "--state", filepath.Join(s.Dir, "state"), "--batch-bytes", "4KiB")

	st := s.AwaitQuiet()
	s.Stop()
	const generated = plain + 3*compressed + posted
	busy := st.Rejected["busy"] // a starved machine; these were sent again
	delete(st.Rejected, "busy")
	var rejected uint64
	for _, n := range st.Rejected {
		rejected += n
	}
	if st.Unaccounted != 0 || st.Received != st.Delivered+busy || st.Delivered <= generated ||
		rejected+st.Redispatched+st.Spilled+st.DeadLettered+st.Abandoned != 0 {
		t.Errorf("the ledger: %+v, of which loadgen sent %d", st, generated)
	}
	ids, total := map[string]bool{}, 0
	for i, of := range s.Receipts() {
		each := 0
		for id, n := range of {
			ids[id] = true
			each += n
		}
		total += each
		if want := float64(st.Delivered) * []float64{0.5, 0.3, 0.2}[i]; math.Abs(float64(each)-want) > 10 {
			t.Errorf("analyzer %d received %d, its weight says %.0f", i+1, each, want)
		}
	}
	if total != int(st.Delivered) || len(ids) != total {
		t.Errorf("%d packets were delivered; receipts tell of %d, %d different ones", st.Delivered, total, len(ids))
	}
	seen := map[int]int{}
	for _, of := range s.Messages() {
		for message, n := range of {
			var line int
			if _, rest, ok := strings.Cut(message, "skewed line "); ok {
				if _, err := fmt.Sscanf(rest, "%d.", &line); err != nil {
					t.Errorf("a line became %s", message)
				}
				seen[line] += n
			}
		}
	}
	for i := range lines {
		if seen[i] != 1 {
			t.Fatalf("line %d of the file arrived %d times", i, seen[i])
		}
	}
}
