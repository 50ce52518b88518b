package capacity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"sluice/internal/cli"
	"sluice/internal/machine"
	"sluice/server/config"
)

// large is a machine on which every default fits.
var large = machine.Facts{Memory: 64 << 30, MemoryOf: "the machine", Descriptors: 1 << 20, CPUs: 4}

// fitted loads and fits; at least one setting is given after the environment's.
func fitted(t *testing.T, facts machine.Facts, args ...string) (config.Config, Report, *cli.Errors) {
	t.Helper()
	cfg, loaded, err := config.Load(args, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	cfg, report, err := Fit(cfg, loaded, facts)
	var faults *cli.Errors
	if err != nil && !errors.As(err, &faults) {
		t.Fatal(err)
	}
	return cfg, report, faults
}

func TestALargeMachineChangesNothing(t *testing.T) {
	want := config.Default()
	want.MemoryLimit = large.Memory * 80 / 100 >> 20 << 20
	want.HTTPBodyBytes = 32 * 4 << 20
	cfg, report, err := fitted(t, large)
	if err != nil || len(report.Warnings) > 0 {
		t.Error(err, report.Warnings)
	}
	if got := fmt.Sprintf("%+v", cfg); got != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %s\nwant %+v", got, want)
	}
}

func TestAnUnknownMachineLimitsNothing(t *testing.T) {
	cfg, report, err := fitted(t, machine.Facts{})
	if err != nil || len(report.Warnings) > 0 || cfg.MaxConnections != 100_000 || cfg.ByteBudget != 256<<20 || cfg.MemoryLimit != 0 {
		t.Error(err, report.Warnings, cfg)
	}
}

// Over all sizes of machines: a default is only ever lowered, only as far as
// needed, never without a warning, and the result fits.
func TestDefaultsAreLoweredToFit(t *testing.T) {
	loaded, asked, err := config.Load([]string{"--memory-limit", "100%"}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	preset := loaded
	preset.HTTPBodyBytes = httpBodies * int64(preset.MaxBody)
	for memory := int64(140 << 20); memory <= 8<<30; memory += memory / 4 {
		for _, descriptors := range []int64{256, 300, 512, 1024, 4096, 20_000, 65_536, 1 << 20} {
			facts := machine.Facts{Memory: memory, MemoryOf: "the cgroup", Descriptors: descriptors, CPUs: 4}
			cfg, report, err := Fit(loaded, asked, facts)
			if err != nil {
				t.Errorf("%d MiB, %d descriptors: %v", memory>>20, descriptors, err)
				continue
			}
			memory := cfg.MemoryLimit
			if m, d := sum(memoryAtWorst(&cfg, 2)), sum(descriptorsAtWorst(&cfg, 2)); m > memory || d > descriptors {
				t.Errorf("%d MiB, %d descriptors: needs %d MiB, %d", memory>>20, descriptors, m>>20, d)
			}
			for _, k := range []knob{connections, budget, httpConns, httpBodyBytes, linkFrames} {
				name := k.what
				if k.flag != "" {
					name = "--" + k.flag
				}
				before, after := k.field(&preset).get(), k.field(&cfg).get()
				warned := 0
				for _, w := range report.Warnings {
					if strings.HasPrefix(w, name+": lowered from the default of "+k.show(before)+" to "+k.show(after)+",") {
						warned++
					}
				}
				switch {
				case after > before || after <= 0:
					t.Errorf("%s: %d from %d", name, after, before)
				case after < before && warned != 1 || after == before && warned != 0:
					t.Errorf("%s: %d from %d with %d warnings: %s", name, after, before, warned, report.Warnings)
				}
			}
			// One connection or MiB more would not fit, if that was what gave way.
			if more := cfg; cfg.MaxConnections < 100_000 && cfg.MaxConnections > 10_000 {
				more.MaxConnections++
				if sum(memoryAtWorst(&more, 2)) <= memory && sum(descriptorsAtWorst(&more, 2)) <= descriptors {
					t.Errorf("%d MiB, %d descriptors: %d connections are fewer than fit", memory>>20, descriptors, cfg.MaxConnections)
				}
			}
		}
	}
}

// Acceptance row D3: a container of 256 MiB must have room for 1,000
// connections and a budget that is worth the name.
func TestAContainerOf256MiB(t *testing.T) {
	facts := large
	facts.Memory, facts.MemoryOf = 256<<20, "the cgroup"
	cfg, report, err := fitted(t, facts)
	if err != nil || cfg.MaxConnections < 1000 || cfg.ByteBudget < 32<<20 || cfg.MemoryLimit != 204<<20 {
		t.Errorf("%v: %d connections, %d MiB of %d", err, cfg.MaxConnections, cfg.ByteBudget>>20, cfg.MemoryLimit)
	}
	var out bytes.Buffer
	if err := report.Print(&out); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
	for _, want := range []string{"memory-limit 204MiB default, 80% of the 256MiB of the cgroup", "default, lowered from 100000", "MEMORY AT WORST", "sum ", "limit 204MiB",
		"warning: --max-connections: lowered from the default of 100000 to "} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	report.Log(slog.New(slog.NewTextHandler(&out, nil)))
	if lines := strings.Count(out.String(), "\n"); lines != len(report.Warnings)+1 || !strings.Contains(out.String(), "memory_limit=204MiB") {
		t.Errorf("%d lines:\n%s", lines, out.String())
	}
}

// Acceptance row D2.
func TestWhatWasAskedForIsNotLowered(t *testing.T) {
	few, small := large, large
	few.Descriptors = 1024
	small.Memory, small.MemoryOf = 512<<20, "the cgroup"
	narrow, tiny := small, small
	narrow.Memory = 256 << 20
	tiny.Memory = 64 << 20
	for name, tc := range map[string]struct {
		facts   machine.Facts
		args    []string
		setting string
		want    []string
	}{
		"too few descriptors": {few, []string{"--max-connections", "5000"}, "--max-connections",
			[]string{"5120 descriptors are needed at worst", "the limit is 1024 (ulimit -n, the hard limit)", "raise ulimit -n", "or lower --max-connections to at most 904"}},
		"a large budget": {small, []string{"--byte-budget=1GiB"}, "--byte-budget",
			[]string{"of memory are needed at worst", "the limit is 409MiB (80% of the 512MiB of the cgroup)", "raise --memory-limit, or lower --byte-budget to at most "}},
		"two that are too large": {small, []string{"--byte-budget=1GiB", "--max-connections=200000"}, "--max-connections",
			[]string{"or lower --max-connections or --byte-budget"}},
		"a limit that is too low": {large, []string{"--memory-limit", "64MiB"}, "",
			[]string{"of memory are needed at worst, and the limit is 64MiB (--memory-limit); raise --memory-limit"}},
		"a machine that is too small": {tiny, nil, "", []string{"the limit is 51MiB (80% of the 64MiB of the cgroup)"}},
		"bodies that are too large": {narrow, []string{"--max-body=64MiB"}, "",
			[]string{"or lower --max-body"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, report, err := fitted(t, tc.facts, tc.args...)
			if err == nil || len(err.Faults) != 1 || err.Faults[0].Setting != tc.setting {
				t.Fatalf("got %v, %+v", err, cfg)
			}
			t.Log(err)
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %q", want, err)
				}
			}
			for _, s := range report.Settings { // the user's own values stand
				if strings.HasPrefix(s.Origin, "flag") && strings.Contains(s.Origin, "lowered") {
					t.Error(s)
				}
			}
		})
	}
}

func TestTheNumberNeededIsEnough(t *testing.T) {
	facts := large
	facts.Descriptors = 1024
	_, _, err := fitted(t, facts, "--max-connections", "5000")
	if err == nil {
		t.Fatal("it fits")
	}
	if _, after, found := strings.Cut(err.Faults[0].Text, " "); !found || !strings.HasPrefix(after, "descriptors") {
		t.Fatal(err)
	}
	if _, scanErr := fmt.Sscan(err.Faults[0].Text, &facts.Descriptors); scanErr != nil {
		t.Fatal(scanErr)
	}
	if _, _, err := fitted(t, facts, "--max-connections", "5000"); err != nil {
		t.Error(err)
	}
	facts.Descriptors--
	if _, _, err := fitted(t, facts, "--max-connections", "5000"); err == nil {
		t.Error("one less is enough, too")
	}
	facts.Descriptors = 1024
	if _, _, err := fitted(t, facts, "--max-connections", "904"); err != nil {
		t.Error(err)
	}
	if _, _, err := fitted(t, facts, "--max-connections", "905"); err == nil {
		t.Error("more than what was said to fit does")
	}
}

func TestMoreThanThereIsIsWarnedOf(t *testing.T) {
	facts := large
	facts.Memory, facts.MemoryOf = 1<<30, "the cgroup"
	_, report, err := fitted(t, facts, "--memory-limit", "2GiB")
	if err != nil || !strings.Contains(strings.Join(report.Warnings, "\n"), "--memory-limit is 2GiB, and the cgroup has 1GiB") {
		t.Error(err, report.Warnings)
	}
}

func TestTheLowerOfTheLimitsHolds(t *testing.T) {
	for _, tc := range []struct {
		memory, goLimit int64
		args            []string
		want            int64
		origin          string
	}{
		{1 << 30, 0, nil, 819 << 20, "default, 80% of the 1GiB of the cgroup"},
		{1 << 30, 512 << 20, nil, 512 << 20, "default, GOMEMLIMIT"},
		{1 << 30, 2 << 30, nil, 819 << 20, "default, 80% of the 1GiB of the cgroup"},
		{0, 512 << 20, nil, 512 << 20, "default, GOMEMLIMIT"},
		{0, 0, nil, 0, "default"},
		{1 << 30, 512 << 20, []string{"--memory-limit=600MiB"}, 512 << 20, "flag --memory-limit, GOMEMLIMIT"},
		{1 << 30, 700 << 20, []string{"--memory-limit=600MiB"}, 600 << 20, "flag --memory-limit"},
		{1 << 30, 0, []string{"--memory-limit=50%"}, 512 << 20, "flag --memory-limit, 50% of the 1GiB of the cgroup"},
	} {
		cfg, report, err := fitted(t, machine.Facts{Memory: tc.memory, MemoryOf: "the cgroup", GoLimit: tc.goLimit, CPUs: 4}, tc.args...)
		if err != nil || cfg.MemoryLimit != tc.want {
			t.Errorf("%+v: %d, %v", tc, cfg.MemoryLimit, err)
		}
		for _, s := range report.Settings {
			if s.Flag == "memory-limit" && s.Origin != tc.origin {
				t.Errorf("%+v: from %s", tc, s.Origin)
			}
		}
	}
}

func TestHelpIsNotFitted(t *testing.T) {
	if _, report, err := fitted(t, machine.Facts{Memory: 1, Descriptors: 1, CPUs: 1}, "--help"); err != nil || !report.Done {
		t.Error(err)
	}
}

func TestRings(t *testing.T) {
	for entries, want := range map[int]int64{1: 32, 2: 64, 3: 128, 32768: 1 << 20, 32769: 2 << 20} {
		if got := ringBytes(entries); got != want {
			t.Errorf("%d entries: %d bytes, want %d", entries, got, want)
		}
	}
}
