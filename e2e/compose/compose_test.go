package compose

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sluice/e2e/harness"
	"sluice/internal/await"
	"sluice/server/stats"
)

const (
	maxImage = 25_000_000 // bytes
	minAcked = 1000       // packets for each fault and for each recovery
)

// One system for everything, because starting it is what takes the time. The
// steps depend on each other: the first that fails is the last.
func TestCompose(t *testing.T) {
	s := start(t)
	for _, step := range []struct {
		name string
		run  func(*system)
	}{
		{"images", images},
		{"quick_test", quickTest},
		{"healthy containers", healthyContainers},
		{"load", load},
		{"stop analyzer-2", stopAnalyzer},
		{"restart distributor", restartDistributor},
		{"partition of analyzer-3", partition},
		{"verdict", verdict},
		{"agent", agent},
		{"demonstrations", demonstrations},
		{"interrupted failover", interruptedFailover},
	} {
		if !t.Run(step.name, func(t *testing.T) {
			whole := s.t
			s.t = t
			defer func() { s.t = whole }()
			step.run(s)
		}) {
			return
		}
	}
}

func images(s *system) {
	for _, program := range []string{"server", "analyzer", "agent", "loadgen"} {
		name := "sluice-" + program + ":" + os.Getenv("SLUICE_TAG")
		size, err := strconv.Atoi(s.docker("image", "inspect", "--format", "{{.Size}}", name))
		user := s.docker("image", "inspect", "--format", "{{.Config.User}}", name)
		if err != nil || size > maxImage || user != "65532:65532" {
			s.t.Errorf("%s: %d bytes, user %q, %v", name, size, user, err)
		}
		version := s.docker("run", "--rm", "--read-only", "--network", "none", name, "--version")
		if !strings.Contains(version, "compose-test") {
			s.t.Errorf("%s: version %q", name, version)
		}
		s.t.Logf("%s: %.1f MB, user %s, %s", program, float64(size)/1e6, user, version)
	}
}

func quickTest(s *system) { s.t.Log("\n" + s.command("./quick_test.sh")) }

// healthyContainers: docker's own checks come to the same result.
func healthyContainers(s *system) {
	for _, service := range []string{"distributor", "analyzer-1", "analyzer-2", "analyzer-3", "analyzer-4", "agent"} {
		id := s.id(service)
		await.True(s.t, service+" healthy", func() bool {
			return s.docker("inspect", "--format", "{{.State.Health.Status}}", id) == "healthy"
		})
	}
	if said := s.docker("exec", s.id("distributor"), "/server", "health"); said != "healthy" {
		s.t.Errorf("server health: %s", said)
	}
}

func load(s *system) {
	var err error
	if s.senders, err = harness.StartSenders(&s.oracle, harness.Mixed(), []string{"127.0.0.1:9000"}); err != nil {
		s.t.Fatal(err)
	}
	s.flows(minAcked)
}

func stopAnalyzer(s *system) {
	s.run("stop", "analyzer-2")
	s.takes(1, false)
	s.flows(minAcked)
	s.run("start", "analyzer-2")
	s.takes(1, true)
	s.flows(minAcked)
}

func restartDistributor(s *system) {
	before, _ := s.stats()
	s.run("restart", "distributor")
	s.await("new and well", func(st stats.Snapshot) bool { return st.UptimeSeconds < before.UptimeSeconds && wellNow(st) })
	s.flows(minAcked)
}

func wellNow(st stats.Snapshot) bool {
	for _, a := range st.Analyzers {
		if a.State != stats.StateUp || a.EffectiveWeight != a.Weight {
			return false
		}
	}
	return true
}

// partition takes analyzer-3 off the network: no packet and no RST comes through,
// in neither direction. It comes back with another address.
func partition(s *system) {
	network, id := os.Getenv("COMPOSE_PROJECT_NAME")+"_default", s.id("analyzer-3")
	s.docker("network", "disconnect", network, id)
	s.takes(2, false)
	s.flows(minAcked)
	s.docker("network", "connect", "--alias", "analyzer-3", network, id)
	s.takes(2, true)
	s.flows(minAcked)
}

// verdict: whatever was acknowledged is in an analyzer's receipts.
func verdict(s *system) {
	ctx, cancel := context.WithTimeout(s.t.Context(), await.Patience)
	defer cancel()
	if err := s.senders.Close(ctx); err != nil {
		s.t.Error(err)
	}
	st := s.await("at rest", func(st stats.Snapshot) bool {
		return st.QueuedPackets+st.InFlightPackets == 0 && st.UnaccountedPackets == 0
	})
	dir := s.t.TempDir()
	var receipts []string
	for i := range 4 {
		to := filepath.Join(dir, fmt.Sprint(i+1))
		s.docker("cp", s.id(fmt.Sprintf("analyzer-%d", i+1))+":/var/lib/sluice/receipts", to)
		receipts = append(receipts, to)
	}
	j, err := s.oracle.Judge(receipts, nil, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	faults, some := s.oracle.Faults()
	s.t.Logf("%d issued, %d acknowledged, %d lost, %d dup; %d resends, %d redispatched since the restart",
		j.Issued, j.Acked, j.Lost, j.Dup, s.senders.Resends(), st.RedispatchedPackets)
	if j.Lost+j.Strangers+faults > 0 || j.Acked != j.Issued {
		s.t.Errorf("%+v\n%s", j, strings.Join(some, "\n"))
	}
	// analyzer-2 was stopped in order, so it settled all that it had. What the
	// restarted distributor had not answered is sent again, and what analyzer-3 had
	// when it was cut off is dispatched again.
	if bound := s.senders.Resends() + int(st.RedispatchedPackets); j.Dup > bound {
		s.t.Errorf("%d duplicates, the bound is %d", j.Dup, bound)
	}
}

// agent follows the mounted folder.
func agent(s *system) {
	before := s.await("answer", func(stats.Snapshot) bool { return true })
	if err := os.WriteFile(filepath.Join(os.Getenv("LOGS"), "app.log"), []byte("a line\n"), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.await("shipped", func(st stats.Snapshot) bool { return st.DeliveredPackets > before.DeliveredPackets })
	s.t.Log("\n" + s.run("run", "--rm", "loadgen", "-c", "4", "-n", "2000", "--progress", "never"))
}

// demo is the program as it is built on the host.
func demo(s *system) string {
	path := filepath.Join(s.t.TempDir(), "demo")
	s.command("go", "build", "-o", path, "./demo")
	return path
}

func demonstrations(s *system) {
	path := demo(s)
	for _, name := range []string{"weights", "failover", "throughput"} {
		s.t.Log("\n" + s.command(path, "--target", "compose", name))
	}
}

// interruptedFailover: who interrupts it is left with all analyzers.
func interruptedFailover(s *system) {
	running := func() bool {
		return s.docker("inspect", "--format", "{{.State.Running}}", s.id("analyzer-2")) == "true"
	}
	cmd := exec.CommandContext(s.t.Context(), demo(s), "--target", "compose", "failover")
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	await.True(s.t, "killed", func() bool { return !running() })
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		s.t.Error("it was interrupted, and says that all was well")
	}
	if !running() {
		s.t.Error("analyzer-2 was left dead")
	}
}
