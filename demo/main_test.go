package main

import (
	"bytes"
	"strings"
	"testing"

	"sluice/internal/cli"
)

func TestWrongFlagsAreToldAtOnce(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run([]string{"--tagret", "compose", "--slow-start=soon", "weights"}, cli.Environ{"LOG_LEVEL=loud"}, &stdout, &stderr)
	if lines := strings.Split(strings.TrimSpace(stderr.String()), "\n"); code != cli.ExitConfig || len(lines) != 3 ||
		lines[0] != "--tagret: unknown flag; did you mean --target?" || !strings.HasPrefix(lines[1], `--slow-start "soon": must be`) || !strings.HasPrefix(lines[2], `LOG_LEVEL "loud": must be`) {
		t.Errorf("exit %d:\n%s", code, stderr.String())
	}
	stderr.Reset()
	if code := run([]string{"dance"}, nil, &stdout, &stderr); code != cli.ExitConfig || !strings.Contains(stderr.String(), "dance") {
		t.Errorf("exit %d:\n%s", code, stderr.String())
	}
}

func TestHelpAndVersion(t *testing.T) {
	for flag, want := range map[string]string{"--help": "throughput", "--version": "demo "} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{flag}, nil, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), want) || stderr.Len() > 0 {
			t.Errorf("%s: exit %d\n%s%s", flag, code, stdout.String(), stderr.String())
		}
	}
}
