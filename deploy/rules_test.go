package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func readRules(t *testing.T) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	readYAML(t, "prometheus/rules.yml", &file)
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 30 {
		t.Fatalf("only %d rules", len(all))
	}
	return all
}

func TestRulesAskForWhatIsTold(t *testing.T) {
	_, v := system(t)
	rules := readRules(t)
	used := map[string]bool{}
	for _, r := range rules {
		if r.Record != "" {
			v.metrics[r.Record] = map[string][]string{}
		}
	}
	for _, r := range rules {
		metrics, faults := v.judge(r.Expr)
		if len(faults) > 0 {
			t.Errorf("%s%s: %s, in %s", r.Alert, r.Record, strings.Join(faults, "; "), r.Expr)
		}
		for _, m := range metrics {
			used[m] = true
		}
	}
	for _, r := range rules {
		if r.Record != "" && !used[r.Record] {
			t.Errorf("no alert uses %s", r.Record)
		}
	}
}

var templateLabel = regexp.MustCompile(`\$labels\.(\w+)`)

// Whoever is woken up reads what is the matter, how bad it is and what to do;
// and finds the same alert in docs/MONITORING.md.
func TestEveryAlertSaysWhatToDo(t *testing.T) {
	_, v := system(t)
	raw, err := os.ReadFile("../docs/MONITORING.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(raw)
	seen := map[string]bool{}
	for _, r := range readRules(t) {
		if r.Alert == "" {
			continue
		}
		if seen[r.Alert] {
			t.Errorf("%s is there twice", r.Alert)
		}
		seen[r.Alert] = true
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has severity %q", r.Alert, s)
		}
		if r.For == "" || r.Annotations["summary"] == "" || len(r.Annotations["runbook"]) < 40 {
			t.Errorf("%s lacks for, summary or runbook", r.Alert)
		}
		for _, label := range templateLabel.FindAllStringSubmatch(r.Annotations["summary"]+r.Annotations["runbook"], -1) {
			if !v.labels[label[1]] {
				t.Errorf("%s tells of %s, which nobody has", r.Alert, label[1])
			}
		}
		if !strings.Contains(doc, "| "+r.Alert+" | "+r.Labels["severity"]+" |") {
			t.Errorf("docs/MONITORING.md does not list %s as %s", r.Alert, r.Labels["severity"])
		}
	}
	for _, name := range regexp.MustCompile(`(?m)^\| (Sluice\w+) \|`).FindAllStringSubmatch(doc, -1) {
		if !seen[name[1]] {
			t.Errorf("docs/MONITORING.md has %s, which is no alert", name[1])
		}
	}
}

var alertName = regexp.MustCompile(`alertname="(\w+)"`)

// Each alert is seen to fire in some test; and each test has a moment at which
// nothing fires.
func TestEveryAlertIsTested(t *testing.T) {
	var file struct {
		Tests []struct {
			Name  string
			Exprs []struct {
				Expr    string
				Samples []struct{ Labels string } `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	readYAML(t, "prometheus/rules_test.yml", &file)
	fired := map[string]bool{}
	for _, test := range file.Tests {
		silent := false
		for _, e := range test.Exprs {
			if !strings.HasPrefix(e.Expr, "ALERTS") {
				continue
			}
			silent = silent || len(e.Samples) == 0
			for _, s := range e.Samples {
				if name := alertName.FindStringSubmatch(s.Labels); name != nil {
					fired[name[1]] = true
				}
			}
		}
		if !silent {
			t.Errorf("%s: something fires at every moment", test.Name)
		}
	}
	for _, r := range readRules(t) {
		if r.Alert != "" && !fired[r.Alert] {
			t.Errorf("no test sees %s fire", r.Alert)
		}
	}
	for name := range fired {
		if !slices.ContainsFunc(readRules(t), func(r rule) bool { return r.Alert == name }) {
			t.Errorf("a test waits for %s, which is no alert", name)
		}
	}
}
