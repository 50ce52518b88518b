package docstest

import (
	"strings"
	"testing"
)

const sample = "# Operations\n\n### `prog` and what it does\n\n| flag | environment | default | unit | |\n|---|---|---|---|---|\n" +
	"| `-c`, `--conns` | `CONNS` | `10` | connections | how many |\n" +
	"| `--name` | – | the host's | text | who |\n\n## `other`\n\n| `--name` | `X` | `1` | s | another's |\n"

func TestCompare(t *testing.T) {
	conns := Setting{"conns", "c", "CONNS", "10"}
	name := Setting{Flag: "name"}
	for what, tc := range map[string]struct {
		program string
		want    []Setting
		fault   string // part of the only one; empty: none
	}{
		"complete":         {"prog", []Setting{conns, name, {Flag: "help", Short: "h"}}, ""},
		"missing":          {"prog", []Setting{conns, name, {Flag: "new"}}, "--new is missing"},
		"too many":         {"prog", []Setting{conns}, "--name is no flag"},
		"another default":  {"prog", []Setting{{"conns", "c", "CONNS", "11"}, name}, "--conns is documented as"},
		"another variable": {"prog", []Setting{{"conns", "c", "C", "10"}, name}, "--conns is documented as"},
		"no table at all":  {"prog parse", []Setting{name}, "--name is missing"},
	} {
		faults := compare(sample, tc.program, tc.want)
		if tc.fault == "" && len(faults) > 0 || tc.fault != "" && (len(faults) != 1 || !strings.Contains(faults[0], tc.fault)) {
			t.Errorf("%s: %q", what, faults)
		}
	}
}

func TestFaultsOfTheTable(t *testing.T) {
	for what, tc := range map[string]struct{ old, new, fault string }{
		"twice":    {"| `--name` | – | the host's | text | who |\n", strings.Repeat("| `--name` | – | the host's | text | who |\n", 2), "--name is there twice"},
		"no unit":  {"connections", "", "--conns lacks its unit"},
		"no words": {"who |", " |", "--name has 4 columns"},
	} {
		faults := compare(strings.Replace(sample, tc.old, tc.new, 1), "prog", []Setting{{"conns", "c", "CONNS", "10"}, {Flag: "name"}})
		if len(faults) == 0 || !strings.Contains(faults[0], tc.fault) {
			t.Errorf("%s: %q", what, faults)
		}
	}
}
