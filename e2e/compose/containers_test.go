package compose

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/e2e/harness"
	"sluice/e2e/oracle"
	"sluice/internal/await"
	"sluice/server/stats"
)

// system is the containers of the project. Owned by one test.
type system struct {
	t       *testing.T
	compose []string
	oracle  oracle.Oracle
	senders *harness.Senders
	client  http.Client
}

// start brings the containers up.
func start(t *testing.T) *system {
	t.Helper()
	command := os.Getenv("SLUICE_COMPOSE")
	if command == "" {
		t.Skip("needs the containers: make compose-test")
	}
	s := &system{t: t, compose: strings.Fields(command), client: http.Client{Timeout: 5 * time.Second}}
	s.run("up", "--detach")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s", s.run("logs", "--no-color", "--tail", "40"))
		}
	})
	return s
}

// run is docker-compose with the project's files, from the repository's root.
func (s *system) run(args ...string) string {
	s.t.Helper()
	return s.command(append(s.compose, args...)...)
}

func (s *system) docker(args ...string) string {
	s.t.Helper()
	return s.command(append([]string{"docker"}, args...)...)
}

func (s *system) command(args ...string) string {
	s.t.Helper()
	// Not the test's own context, which has ended when the logs are asked for.
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "../.."
	var out, faults bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &faults
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, &out, &faults)
	}
	return strings.TrimSpace(out.String())
}

// id is the container of a service, running or not.
func (s *system) id(service string) string {
	s.t.Helper()
	return s.docker("ps", "--all", "--quiet", "--filter", "label=com.docker.compose.service="+service,
		"--filter", "label=com.docker.compose.project="+os.Getenv("COMPOSE_PROJECT_NAME"))
}

// stats asks the distributor; false: it gives no answer now.
func (s *system) stats() (st stats.Snapshot, ok bool) {
	response, err := s.client.Get("http://127.0.0.1:8000/stats")
	if err != nil {
		return st, false
	}
	defer response.Body.Close()
	return st, json.NewDecoder(response.Body).Decode(&st) == nil && len(st.Analyzers) == 4
}

// await waits until the distributor says what is expected.
func (s *system) await(what string, holds func(stats.Snapshot) bool) stats.Snapshot {
	s.t.Helper()
	var last stats.Snapshot
	await.True(s.t, what, func() bool {
		st, ok := s.stats()
		last = st
		return ok && holds(st)
	})
	return last
}

// takes waits until an analyzer (from 0) takes packets, or takes none.
func (s *system) takes(i int, want bool) {
	s.t.Helper()
	what := "it takes packets again"
	if !want {
		what = "it takes none"
	}
	s.await(what, func(st stats.Snapshot) bool {
		a := st.Analyzers[i]
		return want && a.State == stats.StateUp && a.EffectiveWeight == a.Weight || !want && a.EffectiveWeight == 0
	})
}

// flows waits until so many more packets are acknowledged.
func (s *system) flows(packets int) {
	s.t.Helper()
	until := s.oracle.Acked() + packets
	await.True(s.t, "acknowledged", func() bool { return s.oracle.Acked() >= until })
}
