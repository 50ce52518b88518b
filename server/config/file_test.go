package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFile(t *testing.T) {
	name := write(t, `
# a comment
max_queue: 7
retry_delay: 0.25
log_level:            # set to nothing: not set
analyzers:
  - {name: a, address: "10.0.0.1:9001", weight: 3}
  - name: b
    address: tcp://10.0.0.2:9001
byte_budget: 64MiB
`)
	env := environment("CONFIG_FILE", name, "MAX_QUEUE_SIZE", "8", "RETRY_DELAY", "")
	cfg, report, err := load([]string{"--byte-budget=128MiB"}, env)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.ByteBudget != 128<<20 || cfg.MaxQueue != 8 || cfg.RetryDelay.Seconds() != 0.25 || cfg.LogLevel != "info" {
		t.Errorf("flag, environment, file, default: %d, %d, %v, %q", cfg.ByteBudget, cfg.MaxQueue, cfg.RetryDelay, cfg.LogLevel)
	}
	if len(cfg.Analyzers) != 2 || cfg.Analyzers[0] != (Analyzer{"a", "10.0.0.1:9001", 3}) || cfg.Analyzers[1] != (Analyzer{"b", "10.0.0.2:9001", 1}) {
		t.Errorf("analyzers %+v", cfg.Analyzers)
	}
	for _, s := range report.Settings {
		if s.Flag == "retry-delay" && s.Origin != "file "+name+":4: retry_delay" {
			t.Errorf("origin %q", s.Origin)
		}
	}
}

func TestFileInTheFlagBeatsTheEnvironment(t *testing.T) {
	mine, other := write(t, "max_queue: 1"), write(t, "max_queue: 2")
	cfg, _, err := load([]string{"--config", mine}, environment("CONFIG_FILE", other))
	if err != nil || cfg.MaxQueue != 1 {
		t.Errorf("max_queue %d, %v", cfg.MaxQueue, err)
	}
}

// Everything that is wrong is told at once, with its line.
func TestBadFiles(t *testing.T) {
	for text, wants := range map[string][]string{
		"max_que: 5":                             {":1: max_que: is no setting; did you mean max_queue?"},
		"max-queue: 5":                           {":1: max-queue: is no setting; did you mean max_queue?"},
		"colour: red":                            {":1: colour: is no setting"},
		"config: x.yaml":                         {":1: config: is no setting"},
		"max_queue: 5\nmax_queue: 6":             {":2: max_queue: is set twice"},
		"max_queue: [5]":                         {":1: max_queue: must be a single value"},
		"max_queue: lots":                        {`:1: max_queue "lots": must be a whole number`},
		"\n\nmax_queue: 0\nsilence: x":           {`:3: max_queue "0"`, `:4: silence "x"`},
		"- a":                                    {":1: must be a mapping"},
		"a: b: c":                                {"is not valid YAML"},
		"max_queue: 5\n---\nroute: agent":        {"must be a single YAML document"},
		"analyzers:":                             {":1: analyzers: must not be empty"},
		"analyzers: []":                          {"analyzers: must not be empty"},
		"analyzers:\n- 5":                        {":2: analyzers, entry 1: must be a mapping"},
		"analyzers:\n- {nam: a, address: 'h:1'}": {":2: analyzers, entry 1: nam is not known; did you mean name?", "entry 1: name is missing"},
		"analyzers:\n- {name: a}":                {"entry 1: address is missing"},
		"analyzers:\n- {name: a, address: 'h:1', weight: -1}":                  {`weight "-1" must be a number`},
		"analyzers:\n- {name: 'a,b', address: 'h:1'}":                          {"must not contain a comma"},
		"analyzers:\n- {name: a, address: 'h:1', weight: 1, weight: 2}":        {"weight is set twice"},
		"analyzers:\n- {name: a, address: 'h:1'}\n- {name: a, address: 'h:2'}": {"the name a is used twice"},
	} {
		_, _, err := load([]string{"--config", write(t, text)}, nil)
		if err == nil {
			t.Errorf("%q is accepted", text)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v; want %q", text, err, want)
			}
		}
	}
	for _, name := range []string{filepath.Join(t.TempDir(), "absent"), t.TempDir()} {
		if _, _, err := load([]string{"--config", name}, nil); err == nil || !strings.Contains(err.Error(), "--config") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "# nothing", "---\n", "null"} {
		if _, _, err := load([]string{"--config", write(t, text)}, nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, _, err := load([]string{"--config", write(t, strings.Repeat("#", maxFileBytes+1))}, nil); err == nil {
		t.Error("a file without end is accepted")
	}
}

// The example says what is: every key, each with its default. Those that are
// lowered to fit the machine unless somebody sets them stand there as comments.
func TestExampleFile(t *testing.T) {
	name := filepath.Join("..", "..", "deploy", "sluice.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	said, faults := readFile(name)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	cfg, _, err := load([]string{"--config", name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := Default()
	for _, s := range settings() {
		if _, found := said.values[s.flag]; !found && !strings.Contains(string(text), "\n#"+s.key()+": "+s.preset+" ") {
			t.Errorf("%s is missing", s.key())
		}
		if got, want := s.show(&cfg), s.show(&plain); got != want {
			t.Errorf("%s is %s, the default is %s", s.key(), got, want)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("max_queue: 5\nanalyzers:\n- {name: a, address: 'h:1', weight: 2}\n")
	f.Add("a: &x [*x]")
	f.Add("analyzers: [&a {name: *a}]")
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, _ = load([]string{"--config", name}, nil)
	})
}
