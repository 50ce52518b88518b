package sim

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	seedCount = flag.Int("seeds", 0, "how many seeds TestSeeds runs; 0: 200, fewer with -short or -race")
	oneSeed   = flag.Uint64("seed", 0, "the one seed to run; with -v its trace is printed")
	firstSeed = flag.Uint64("first", 1, "the first seed")
)

// maxFailures ends a run of which more would tell no more.
const maxFailures = 10

// replay is the command that runs one seed again.
func replay(seed uint64) string {
	return fmt.Sprintf("go test ./server/sim -run TestSeeds -count 1 -v -args -seed %d", seed)
}

// TestSeeds lives through many worlds; see the package's comment.
func TestSeeds(t *testing.T) {
	if *oneSeed != 0 {
		var out io.Writer
		if testing.Verbose() {
			out = os.Stdout
		}
		r, err := Run(*oneSeed, out)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", r)
		return
	}
	seeds := *seedCount
	if seeds == 0 {
		seeds = 200
		if testing.Short() || raceEnabled {
			seeds = 12
		}
	}
	var sum Report
	failed, began, used := 0, time.Now(), cpuTime()
	for i := range seeds {
		seed := *firstSeed + uint64(i)
		r, err := Run(seed, nil)
		if err != nil {
			t.Errorf("seed %d: %v\nreplay: %s", seed, err, replay(seed))
			if failed++; failed == maxFailures {
				t.Fatalf("%d of %d seeds failed; no more are tried", failed, i+1)
			}
		}
		sum.add(&r)
	}
	wall := time.Since(began)
	cpu := cpuTime() - used
	t.Logf("%d seeds, %d packets, %v of virtual time, %d events in %v (%v of processor time: %.0f packets a minute of it)", seeds, sum.Packets,
		sum.Virtual.Round(time.Second), sum.Steps, wall.Round(time.Millisecond), cpu.Round(time.Millisecond), float64(sum.Packets)/cpu.Minutes())
	t.Logf("%d delivered, %d accepted (202), %d refused for ever, %d forgotten by agents that died, %d accepted and lost with a distributor that crashed, %d receipts beyond the first; slowest healing %v; a queue was %d above its limit",
		sum.Delivered, sum.Held, sum.Refused, sum.Forgotten, sum.Excused, sum.Twice, sum.Healing, sum.Overfull)
	t.Logf("%d flushes and %d batches waited for more", sum.Deferred, sum.Lingered)
	if seeds >= 200 && (sum.Deferred == 0 || sum.Lingered == 0) {
		t.Error("nothing was gathered")
	}
	t.Logf("cores: %+v", sum.Core)
	var fired []string
	for k, n := range sum.Faults {
		fired = append(fired, fmt.Sprintf("%v %d", faultKind(k), n))
		if n == 0 && seeds >= 200 {
			t.Errorf("the fault %v never fired", faultKind(k))
		}
	}
	t.Logf("faults: %s", strings.Join(fired, ", "))
}

// cpuTime is what this process has used of its processors: the machine may be
// busy with other things.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (r *Report) add(o *Report) {
	r.Steps += o.Steps
	r.Virtual += o.Virtual
	r.Healing = max(r.Healing, o.Healing)
	r.Overfull = max(r.Overfull, o.Overfull)
	r.Packets += o.Packets
	r.Delivered += o.Delivered
	r.Held += o.Held
	r.Refused += o.Refused
	r.Forgotten += o.Forgotten
	r.Excused += o.Excused
	r.Twice += o.Twice
	r.Deferred += o.Deferred
	r.Lingered += o.Lingered
	for i, n := range o.Faults {
		r.Faults[i] += n
	}
	r.Core.sum(&o.Core)
}

// TestSameSeedSameWorld: every event of a world follows from its seed.
func TestSameSeedSameWorld(t *testing.T) {
	hashes := map[uint64]bool{}
	for seed := uint64(1); seed <= 3; seed++ {
		one, err1 := Run(seed, nil)
		two, err2 := Run(seed, nil)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if one != two {
			t.Errorf("seed %d gave two worlds:\n%+v\n%+v", seed, one, two)
		}
		hashes[one.Hash] = true
	}
	if len(hashes) != 3 {
		t.Errorf("3 seeds gave %d worlds", len(hashes))
	}
}
