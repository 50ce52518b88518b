package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/agent/node"
	"sluice/internal/await"
)

// shipOnce runs an agent in this process to its end.
func shipOnce(t *testing.T, change func(*node.Config)) node.Stats {
	t.Helper()
	cfg := node.Default()
	cfg.Once, cfg.Agent, cfg.Host, cfg.Location = true, "agent-1", "host-1", time.UTC
	change(&cfg)
	n, err := node.Start(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.Finished():
	case <-time.After(await.Patience):
		t.Fatalf("never finished: %+v", n.Stats())
	}
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n.Stats()
}

// Every line of eight real logs is in exactly one output, byte for byte, and
// nearly all of them were understood.
func TestRealLogsOnce(t *testing.T) {
	files, _ := filepath.Glob("../../shared/data/loghub/*.log")
	if len(files) == 0 {
		t.Skip("SKIPPED: no real logs at ../../shared/data/loghub")
	}
	s := startSystem(t, 0)
	st := shipOnce(t, func(c *node.Config) {
		c.Addrs, c.Files = []string{s.addr()}, []string{"../../shared/data/loghub/*.log"}
	})
	lines, messages := map[string]string{}, map[string]int{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		abs, _ := filepath.Abs(name)
		at := 0
		for _, line := range strings.SplitAfter(string(text), "\n") {
			if line != "" {
				lines[fmt.Sprint(abs, " ", at)] = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			}
			at += len(line)
		}
	}
	used := map[string]int{}
	levels := map[string]map[string]int{}
	for _, r := range readOutputs(t, s.outputs) {
		key := fmt.Sprint(r.path(), " ", r.offset())
		line, known := lines[key]
		if !known || !strings.HasSuffix(line, r.Message) || r.Message == "" && line != "" {
			t.Fatalf("%s: %q of the line %q", key, r.Message, line)
		}
		messages[key]++
		used[r.output]++
		name := filepath.Base(r.path())
		if levels[name] == nil {
			levels[name] = map[string]int{}
		}
		levels[name][r.Level]++
	}
	for key := range lines {
		if messages[key] != 1 {
			t.Fatalf("%s is in the outputs %d times", key, messages[key])
		}
	}
	for name, l := range levels {
		t.Log(name, l)
	}
	if len(lines) != 16000 || len(messages) != 16000 || len(used) != 2 || st.DeliveredRecords != 16000 {
		t.Errorf("%d lines, %d messages, outputs %v, %d delivered", len(lines), len(messages), used, st.DeliveredRecords)
	}
	if st.UnderstoodRecords*100 < st.EncodedRecords*99 {
		t.Errorf("%d of %d understood", st.UnderstoodRecords, st.EncodedRecords)
	}
}

// The program: exit codes, the state, and what is left for a second run.
func TestOnceWithState(t *testing.T) {
	s := startSystem(t, 0)
	dir := t.TempDir()
	log := filepath.Join(dir, "a.log")
	write := func(text string) {
		f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	once := func(addr string) int {
		cmd := exec.Command(os.Args[0], "--once", "--addr", addr, "--state", filepath.Join(dir, "state"), "--agent-id", "a",
			"--file", filepath.Join(dir, "*.log"), "--label", "env=test", "--stall-timeout", "1")
		cmd.Env = append(os.Environ(), asProgram+"=1")
		out, err := cmd.CombinedOutput()
		t.Logf("%v: %s", err, logTail(string(out)))
		return cmd.ProcessState.ExitCode()
	}
	write("one\r\ntwo\nbad \xff utf\npar")
	if code := once(freePort(t)); code != 1 {
		t.Errorf("exit %d without a distributor, want 1", code)
	}
	for range 2 {
		if code := once(s.addr()); code != 0 {
			t.Errorf("exit %d", code)
		}
	}
	write("tial\nlast\n")
	if code := once(s.addr()); code != 0 {
		t.Errorf("exit %d", code)
	}
	var got []string
	for _, r := range readOutputs(t, s.outputs) {
		if r.Metadata["env"] != "test" || r.Source != "a.log" || r.Level != "INFO" {
			t.Errorf("%+v", r)
		}
		got = append(got, fmt.Sprintf("%d %q %v %v", r.offset(), r.Message, r.Metadata["split"], r.Metadata["raw"]))
	}
	want := []string{`0 "one" <nil> <nil>`, `5 "two" <nil> <nil>`, `9 "bad � utf" <nil> YmFkIP8gdXRm`, `19 "par" <nil> <nil>`,
		`22 "tial" last <nil>`, `27 "last" <nil> <nil>`}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(got, "\n"), w) {
			t.Errorf("no %s in %q", w, got)
		}
	}
}

func TestBadFlagsTellEveryFault(t *testing.T) {
	cmd := exec.Command(os.Args[0], "--addr", "nowhere", "--compress=lzma", "--nope", "--multiline", "(", "--linger=soon", "--file", "[", "--label", "x")
	cmd.Env = append(os.Environ(), asProgram+"=1", "AGENT_MEMORY=lots", "AGENT_NOW=today", "AGENT_TIMEZONE=Nowhere/City", "LOG_LEVEL=loud")
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 78 {
		t.Errorf("%v", err)
	}
	for _, word := range []string{"nowhere", "lzma", "--nope", "missing closing", "soon", `"["`, "lots", "today", "Nowhere/City", "loud"} {
		if !strings.Contains(string(out), word) {
			t.Errorf("nothing about %s in:\n%s", word, out)
		}
	}
	if strings.Contains(string(out), "at least 8MiB") {
		t.Errorf("a value that could not be read was judged:\n%s", out)
	}
	if want := `--label "x": must be KEY=VALUE`; !strings.Contains(string(out), want) || strings.Count(string(out), "--label") != 1 {
		t.Errorf("want %s once in:\n%s", want, out)
	}
	for _, args := range [][]string{{"--help"}, {"--version"}, {"parse", "--help"}, {"parse", "--version"}} {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), "agent") {
			t.Errorf("%v: %v, %q", args, err, out)
		}
	}
}
