package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	analyzer "sluice/analyzer/node"
	"sluice/server/stats"
)

// composed is the system of docker-compose.yml, which runs already. It is watched
// over HTTP as anybody would, and its analyzers die by docker kill.
type composed struct {
	host       string
	client     http.Client
	containers [len(weights)]string // ids, by analyzer
}

const (
	askLimit    = 5 * time.Second
	dockerLimit = time.Minute
	// steadyLimit is for containers that start, and for a slow start.
	steadyLimit = time.Minute
)

// findCompose finds the containers and waits until they are well.
func findCompose(ctx context.Context, host string) (*composed, error) {
	s := &composed{host: host, client: http.Client{Timeout: askLimit}}
	for i := range weights {
		// By what docker itself knows, so that neither the project's name matters
		// nor which docker-compose made them.
		out, err := docker(ctx, "ps", "--quiet", "--filter", fmt.Sprint("publish=", 9001+i),
			"--filter", fmt.Sprintf("label=com.docker.compose.service=analyzer-%d", i+1))
		if err != nil {
			return nil, err
		}
		if ids := strings.Fields(out); len(ids) == 1 {
			s.containers[i] = ids[0]
		} else {
			return nil, fmt.Errorf("there are %d running containers of a service analyzer-%d that publish port %d; first: docker compose up --build -d", len(ids), i+1, 9001+i)
		}
	}
	return s, awaitSteady(ctx, s, steadyLimit)
}

// docker runs the client. It is in a process group of its own: Ctrl-C is for us,
// and what we then put right must not be interrupted too.
func docker(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("docker %s: %w", args[0], err)
	}
	return string(out), nil
}

func (s *composed) kill(i int) error { return s.tell("kill", i) }

func (s *composed) restart(i int) error { return s.tell("start", i) }

func (s *composed) tell(what string, i int) error {
	_, err := docker(context.Background(), what, s.containers[i])
	return err
}

// stop leaves the containers as they were found: running.
func (s *composed) stop() error {
	s.client.CloseIdleConnections()
	return nil
}

func (s *composed) agentAddr() string { return net.JoinHostPort(s.host, "9000") }

func (s *composed) stats(ctx context.Context) (st stats.Snapshot, err error) {
	return st, s.ask(ctx, 8000, &st)
}

func (s *composed) received(ctx context.Context) ([]uint64, error) {
	out := make([]uint64, len(weights))
	for i := range out {
		var st analyzer.Stats
		if err := s.ask(ctx, 8001+i, &st); err != nil {
			return nil, err
		}
		out[i] = st.ReceivedPackets
	}
	return out, nil
}

// ask gets the /stats of a port.
func (s *composed) ask(ctx context.Context, port int, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(s.host, strconv.Itoa(port))+"/stats", nil)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", request.URL, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}
