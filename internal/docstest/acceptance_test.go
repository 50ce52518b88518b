package docstest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/e2e/faults"
)

var (
	acceptanceRow = regexp.MustCompile(`(?m)^\| ([A-FX]\d+) \|.*\| ([^|]+) \|$`)
	heldBy        = regexp.MustCompile("`([a-z0-9/]+)`((?:,? (?:Test|Fuzz)\\w+)*)")
	testName      = regexp.MustCompile(`(?:Test|Fuzz)\w+`)
	rowID         = regexp.MustCompile(`\b[Rr]ows? ([A-FX]\d+)\b|// ([A-FX]\d+):|\bis ([A-FX]\d+)[:.]`)
)

// TestAcceptanceRowsAreHeld: what docs/ACCEPTANCE.md says a row is held by is
// there, and every scenario of e2e/faults is a row.
func TestAcceptanceRowsAreHeld(t *testing.T) {
	scenarios := map[string]bool{}
	for _, r := range faults.Rows() {
		scenarios[r.ID] = true
	}
	for id, held := range acceptanceRows(t) {
		inFaults := false
		for _, m := range heldBy.FindAllStringSubmatch(held, -1) {
			if m[1] == "e2e/faults" {
				inFaults = true
				continue
			}
			code := testsOf(t, m[1])
			names := testName.FindAllString(m[2], -1)
			if len(names) == 0 {
				t.Errorf("row %s: no test of %s is named", id, m[1])
			}
			for _, name := range names {
				if !strings.Contains(code, "func "+name+"(") {
					t.Errorf("row %s: %s has no %s", id, m[1], name)
				}
			}
		}
		if inFaults != scenarios[id] {
			t.Errorf("row %s: docs/ACCEPTANCE.md says that e2e/faults has it: %v; it is there: %v", id, inFaults, scenarios[id])
		}
		delete(scenarios, id)
	}
	for id := range scenarios {
		t.Errorf("row %s of e2e/faults is missing in docs/ACCEPTANCE.md", id)
	}
}

// TestNamedRowsExist: a row that code speaks of is one of docs/ACCEPTANCE.md.
func TestNamedRowsExist(t *testing.T) {
	rows := acceptanceRows(t)
	for _, file := range committed(t) {
		if filepath.Ext(file.path) != ".go" {
			continue
		}
		for n, line := range strings.Split(file.text, "\n") {
			if _, comment, there := strings.Cut(line, "//"); there {
				for _, m := range rowID.FindAllStringSubmatch("//"+comment, -1) {
					if id := m[1] + m[2] + m[3]; rows[id] == "" {
						t.Errorf("%s:%d: there is no row %s in docs/ACCEPTANCE.md", file.path, n+1, id)
					}
				}
			}
		}
	}
}

// acceptanceRows gives for each id what holds the row.
func acceptanceRows(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "ACCEPTANCE.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range acceptanceRow.FindAllStringSubmatch(string(text), -1) {
		if rows[m[1]] != "" {
			t.Errorf("row %s is there twice", m[1])
		}
		rows[m[1]] = m[2]
	}
	if len(rows) == 0 {
		t.Fatal("docs/ACCEPTANCE.md has no rows")
	}
	return rows
}

// testsOf is the text of a package's tests.
func testsOf(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "..", dir, "*_test.go"))
	if err != nil || len(names) == 0 {
		t.Errorf("%s has no tests", dir)
	}
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
