package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sluice/internal/cli"
	"strings"
	"testing"
	"time"
)

func environment(pairs ...string) (env cli.Environ) {
	for i := 0; i < len(pairs); i += 2 {
		env = append(env, pairs[i]+"="+pairs[i+1])
	}
	return env
}

func load(args []string, env cli.Environ) (Config, Report, error) { return Load(args, env, io.Discard) }

func TestDefaults(t *testing.T) {
	want := Config{
		Listen: ":9000", HTTPListen: ":8000", MaxQueue: 5000, MaxRetries: 2,
		Analyzers: []Analyzer{{"analyzer-1", "127.0.0.1:9001", 40}, {"analyzer-2", "127.0.0.1:9002", 30},
			{"analyzer-3", "127.0.0.1:9003", 20}, {"analyzer-4", "127.0.0.1:9004", 10}},
		RetryDelay: 500 * time.Millisecond, HealthCheckInterval: 5 * time.Second,
		QueueTimeout: time.Minute, Silence: time.Second, AckTimeout: 10 * time.Second, SpillAfter: 200 * time.Millisecond,
		SlowStart: 10 * time.Second, Grace: 25 * time.Second, DeadLetterDir: "./dead-letters", DeadLetterMax: 1 << 30,
		MaxFrame: 1 << 20, MaxBody: 4 << 20, Route: "weighted", Spill: "elastic", LogFormat: "text", LogLevel: "info",
		MaxConnections: 100_000, ByteBudget: 256 << 20, MemoryShare: 80, Limits: defaultLimits(),
	}
	if got := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestFlagBeatsEnvironmentBeatsDefault(t *testing.T) {
	cfg, report, err := load(
		[]string{"--listen", "127.0.0.1:0", "--retry-delay=2", "--max-frame", "512KiB", "--spill", "strict", "--check"},
		environment("LISTEN", ":1", "HTTP_LISTEN", "[::1]:0", "HEALTH_CHECK_INTERVAL", "1m30s", "ROUTE", "", "ANALYZERS", "a=tcp://h:1\n, b=tcp://[::1]:2?weight=0.5,"))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != "127.0.0.1:0" || cfg.HTTPListen != "[::1]:0" || cfg.RetryDelay != 2*time.Second || cfg.MaxFrame != 512<<10 ||
		cfg.HealthCheckInterval != 90*time.Second || cfg.Spill != SpillStrict || cfg.Route != RouteWeighted ||
		!reflect.DeepEqual(cfg.Analyzers, []Analyzer{{"a", "h:1", 1}, {"b", "[::1]:2", 0.5}}) {
		t.Errorf("%+v", cfg)
	}
	var out bytes.Buffer
	if err := report.Print(&out); err != nil || !report.Check {
		t.Fatal(err, report)
	}
	for _, want := range [][3]string{
		{"listen", "127.0.0.1:0", "flag --listen"}, {"http", "[::1]:0", "environment HTTP_LISTEN"}, {"route", "weighted", "default"},
		{"retry-delay", "2s", "flag --retry-delay"}, {"max-frame", "512KiB", "flag --max-frame"}, {"max-body", "4MiB", "default"},
		{"analyzers", "a=tcp://h:1?weight=1,", "environment ANALYZERS"},
	} {
		found := false
		for line := range strings.Lines(out.String()) {
			f := strings.Fields(line)
			found = found || len(f) > 2 && f[0] == want[0] && f[1] == want[1] && strings.Join(f[2:], " ") == want[2]
		}
		if !found {
			t.Errorf("no line %v in\n%s", want, out.String())
		}
	}
}

const durationForm = "must be a duration: seconds such as 5 or 0.5, or with a unit such as 500ms, 1m30s or 7d"
const sizeForm = "must be a size: bytes such as 65536, or with a unit such as 512KiB or 4MiB (1KiB is 1024 bytes, 1kB is 1000)"
const nameForm = "the name must be 1 to 64 letters, digits, dots, dashes or underscores"

func TestEveryFault(t *testing.T) {
	long := strings.Repeat("n", 65)
	many := ""
	for i := range MaxAnalyzers + 1 {
		many += fmt.Sprintf("a%d=tcp://h:%d,", i, i+1)
	}
	for _, tc := range []struct{ flag, value, want string }{
		{"listen", "9000", "must be host:port or :port, such as :9000 or 127.0.0.1:9000 (an IPv6 host in brackets: [::1]:9000)"},
		{"http", "::1:80", "must be host:port or :port, such as :9000 or 127.0.0.1:9000 (an IPv6 host in brackets: [::1]:9000)"},
		{"listen", ":70000", "must have a port from 0 to 65535 (0: any that is free)"},
		{"listen", ":http", "must have a port from 0 to 65535 (0: any that is free)"},
		{"listen", "", "must not be empty"},
		{"admin", ":6060", "must name a host: 127.0.0.1:6060 for this machine alone, 0.0.0.0:6060 for everybody who can reach it"},
		{"admin", "on", "must be host:port or :port, such as :9000 or 127.0.0.1:9000 (an IPv6 host in brackets: [::1]:9000); or off"},
		{"workers", "-1", "must be a whole number from 0 to 1024"},
		{"workers", "two", "must be a whole number from 0 to 1024"},
		{"max-queue", "0", "must be a whole number from 1 to 10000000"},
		{"max-retries", "1.5", "must be a whole number from 0 to 1000"},
		{"retry-delay", "soon", durationForm},
		{"retry-delay", "NaN", durationForm},
		{"retry-delay", "1e9", durationForm},
		{"retry-delay", "-1s", "must be from 0s to 1h0m0s"},
		{"retry-delay", "99999999999999999999", "must be from 0s to 1h0m0s"},
		{"health-check-interval", "0", "must be from 100ms to 1h0m0s"},
		{"max-frame", "1TB", sizeForm},
		{"max-frame", "4kB", "must be from 4KiB to 64MiB"},
		{"max-frame", "MiB", sizeForm},
		{"max-frame", "-5", sizeForm},
		{"max-frame", "1KiB", "must be from 4KiB to 64MiB"},
		{"max-body", "99999999999GiB", "must be from 4KiB to 64MiB"},
		{"max-body", "99999999999999999999999", "must be from 4KiB to 64MiB"},
		{"max-connections", "0", "must be a whole number from 1 to 10000000"},
		{"max-connections-per-ip", "-1", "must be a whole number from 0 to 10000000"},
		{"byte-budget", "1MiB", "must be from 4MiB to 1048576GiB"},
		{"memory-limit", "120%", "must be from 1% to 100%, or a size such as 512MiB"},
		{"memory-limit", "1MiB", "must be from 32MiB to 1048576GiB; or a share such as 80%"},
		{"memory-limit", "most", sizeForm + "; or a share such as 80%"},
		{"route", "random", "must be weighted, agent or packet"},
		{"spill", "no", "must be elastic or strict"},
		{"log-format", "xml", "must be text or json"},
		{"log-level", "loud", "must be debug, info, warn or error"},
		{"analyzers", "h:1", `entry 1, "h:1": must look like name=tcp://host:port?weight=40`},
		{"analyzers", ",", `entry 1, "": must look like name=tcp://host:port?weight=40`},
		{"analyzers", "tcp://h:1?weight=1", `entry 1, "tcp://h:1?weight=1": must look like name=tcp://host:port?weight=40`},
		{"analyzers", "a=tcp://h:1/x", `entry 1, "a=tcp://h:1/x": must look like name=tcp://host:port?weight=40`},
		{"analyzers", "a=tcp://h h:1", `entry 1, "a=tcp://h h:1": must look like name=tcp://host:port?weight=40`},
		{"analyzers", "a=tcp://h:1?a;b", `entry 1, "a=tcp://h:1?a;b": must look like name=tcp://host:port?weight=40`},
		{"analyzers", "=tcp://h:1", `entry 1, "=tcp://h:1": ` + nameForm},
		{"analyzers", "a b=tcp://h:1", `entry 1, "a b=tcp://h:1": ` + nameForm},
		{"analyzers", long + "=tcp://h:1", `entry 1, "` + long + `=tcp://h:1": ` + nameForm},
		{"analyzers", "a=udp://h:1", `entry 1, "a=udp://h:1": udp:// is not supported, only tcp://`},
		{"analyzers", "a=tcp://:1", `entry 1, "a=tcp://:1": the host is missing; must look like name=tcp://host:port?weight=40`},
		{"analyzers", "a=tcp://h", `entry 1, "a=tcp://h": the port must be from 1 to 65535`},
		{"analyzers", "a=tcp://h:0", `entry 1, "a=tcp://h:0": the port must be from 1 to 65535`},
		{"analyzers", "a=tcp://h:1?wait=4", `entry 1, "a=tcp://h:1?wait=4": wait is not known, only weight`},
		{"analyzers", "a=tcp://h:1?weight=4&weight=5", `entry 1, "a=tcp://h:1?weight=4&weight=5": weight is given twice`},
		{"analyzers", "a=tcp://h:1?weight=-4", `entry 1, "a=tcp://h:1?weight=-4": weight "-4" must be a number, 0 or more`},
		{"analyzers", "a=tcp://h:1?weight=inf", `entry 1, "a=tcp://h:1?weight=inf": weight "inf" must be a number, 0 or more`},
		{"analyzers", "a=tcp://h:1?weight=", `entry 1, "a=tcp://h:1?weight=": weight "" must be a number, 0 or more`},
		{"analyzers", "a=tcp://h:1,a=tcp://h:2", "entry 2: the name a is used twice"},
		{"analyzers", "a=tcp://h:1,b=tcp://h:1", "entry 2: b has the address of a, h:1"},
		{"analyzers", "a=tcp://h:1?weight=0,b=tcp://h:2?weight=0", "at least one analyzer must have a weight above 0"},
		{"analyzers", many, "1025 analyzers are more than the limit of 1024"},
	} {
		t.Run(tc.flag+" "+tc.value[:min(len(tc.value), 30)], func(t *testing.T) {
			_, _, err := load([]string{"--" + tc.flag, tc.value}, environment())
			var all *cli.Errors
			if !errors.As(err, &all) || len(all.Faults) != 1 || all.Faults[0].Text != tc.want || all.Faults[0].Setting != "--"+tc.flag {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, report, err := load(
		[]string{"--spill", "no", "--lissten", ":1", "surplus", "--retry-delay=x", "--typo=3", "--check", "--listen=:8000", "--http"},
		environment("MAX_QUEUE_SIZE", "lots", "RETRY_DELAY", "hidden by the flag", "ANALYZERS", "x,a=tcp://h:1,y"))
	want := `--lissten: unknown flag; did you mean --listen?
unexpected argument "surplus"; see --help
--typo: unknown flag; see --help
--http: needs a value
ANALYZERS: entry 1, "x": must look like name=tcp://host:port?weight=40
ANALYZERS: entry 3, "y": must look like name=tcp://host:port?weight=40
MAX_QUEUE_SIZE "lots": must be a whole number from 1 to 10000000
--retry-delay "x": ` + durationForm + `
--spill "no": must be elastic or strict
--listen and --http are both :8000; each needs a port of its own`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if !report.Check || len(report.Settings) != len(settings()) {
		t.Error("the report was lost with the faults")
	}
}

func TestHelpTeaches(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"-h"}, {"--help", "--listen", "nonsense"}} {
		var out bytes.Buffer
		_, report, err := Load(args, environment("LISTEN", "nonsense"), &out)
		if err != nil || !report.Done {
			t.Fatal(args, err, report)
		}
		if args[0] == "--version" {
			continue
		}
		text := strings.Join(strings.Fields(out.String()), " ")
		for _, s := range settings() {
			for _, want := range []string{"--" + s.flag + "=", "[" + s.env + ", default "} {
				if !strings.Contains(text, want) {
					t.Errorf("help lacks %s", want)
				}
			}
		}
		if !strings.Contains(text, "[CONFIG_FILE, default none]") || !strings.Contains(text, "Exit codes") {
			t.Error(out.String())
		}
	}
}

func TestUnknownVariablesAreWarnedOf(t *testing.T) {
	_, report, err := Load(nil, environment("MAX_QUEUE", "9", "DEAD_LETTER_DIRECTORY", "x", "HTTP_PROXY", "x", "LISTEN", ":1"), io.Discard)
	if err != nil || len(report.Warnings) != 2 || !strings.Contains(report.Warnings[0], "MAX_QUEUE ") || !strings.Contains(report.Warnings[1], "DEAD_LETTER_DIRECTORY ") {
		t.Errorf("%q, %v", report.Warnings, err)
	}
}
