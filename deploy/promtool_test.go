package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// promtool finds it, or skips the test; deploy/check.sh sets SLUICE_PROMTOOL, and
// then it has to be there.
func promtool(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SLUICE_PROMTOOL")
	if path == "" {
		path = "promtool"
	}
	found, err := exec.LookPath(path)
	if err != nil {
		if os.Getenv("SLUICE_PROMTOOL") != "" {
			t.Fatal(err)
		}
		t.Skip("promtool is not installed; deploy/check.sh installs it")
	}
	return found
}

// What programs say is accepted without a word, remarks on style included.
func TestPromtoolAcceptsEveryScrape(t *testing.T) {
	tool := promtool(t)
	texts, _ := system(t)
	for name, text := range texts {
		cmd := exec.CommandContext(t.Context(), tool, "check", "metrics")
		cmd.Stdin = bytes.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		t.Logf("%s: %d lines, %d bytes, no remark", name, bytes.Count(text, []byte("\n")), len(text))
	}
}

var variable = regexp.MustCompile(`\$(job|instance|analyzer)\b`)

// Queries of the dashboard are PromQL: as the expressions of recording rules,
// they are parsed by Prometheus itself.
func TestPromtoolParsesTheDashboard(t *testing.T) {
	tool := promtool(t)
	d, _ := readDashboard(t)
	type recording struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	type group struct {
		Name  string      `yaml:"name"`
		Rules []recording `yaml:"rules"`
	}
	var g group
	g.Name = "dashboard"
	for i, q := range d.queries() {
		expr := variable.ReplaceAllString(strings.ReplaceAll(q[1], "$__rate_interval", "1m"), ".*")
		g.Rules = append(g.Rules, recording{"dashboard:query:" + string(rune('a'+i/26)) + string(rune('a'+i%26)), expr})
	}
	text, err := yaml.Marshal(map[string]any{"groups": []group{g}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tool, "check", "rules", "--lint=all", "--lint-fatal", file).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\n%s", err, out, text)
	}
	t.Logf("%d queries\n%s", len(g.Rules), out)
}
