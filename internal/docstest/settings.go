// Package docstest holds documents against the code, for tests of the programs:
// a flag that docs/OPERATIONS.md does not have, or has with another environment
// variable or default, fails the test of the program whose flag it is.
package docstest

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"sluice/internal/cli"
)

// Setting is one flag of a program, as its code has it. Immutable.
type Setting struct {
	Flag    string // without dashes
	Short   string // one letter; empty: none
	Env     string // empty: none
	Default string // as a user would write it; empty: none, or one that depends on others
}

// universal flags are explained once for all programs.
var universal = []string{"help", "version"}

// OfKong gives the flags of a command as kong knows them.
func OfKong(flags []*kong.Flag) (all []Setting) {
	for _, f := range flags {
		s := Setting{Flag: f.Name, Default: f.Default}
		if f.Short != 0 {
			s.Short = string(f.Short)
		}
		if len(f.Envs) > 0 {
			s.Env = f.Envs[0]
		}
		all = append(all, s)
	}
	return all
}

// OfStruct gives the flags of a struct that kong parses.
func OfStruct(t testing.TB, grammar any) []Setting {
	t.Helper()
	model, err := cli.Model(grammar)
	if err != nil {
		t.Fatal(err)
	}
	return OfKong(model.Flags)
}

// Settings compares the settings of a program with the table under its heading
// in the document at path: every one must be there, once, and no other.
//
// A table's columns are flag, environment variable, default, unit, explanation.
// A default is in back quotes exactly if the code has it as a constant; anything
// else is prose.
func Settings(t testing.TB, path, program string, want []Setting) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range compare(string(text), program, want) {
		t.Errorf("%s, table of `%s`: %s", path, program, fault)
	}
}

func compare(text, program string, want []Setting) (faults []string) {
	rows, faults := table(text, program)
	for _, w := range want {
		if slices.Contains(universal, w.Flag) {
			continue
		}
		r, found := rows[w.Flag]
		if !found {
			faults = append(faults, fmt.Sprintf("--%s is missing", w.Flag))
			continue
		}
		delete(rows, w.Flag)
		if r.Setting != w {
			faults = append(faults, fmt.Sprintf("--%s is documented as %+v, and is %+v", w.Flag, r.Setting, w))
		}
		if r.unit == "" || r.text == "" {
			faults = append(faults, fmt.Sprintf("--%s lacks its unit or its explanation", w.Flag))
		}
	}
	for flag := range rows {
		faults = append(faults, fmt.Sprintf("--%s is no flag of the program", flag))
	}
	return faults
}

// row is a line of a table. Immutable.
type row struct {
	Setting
	unit, text string
}

var (
	heading = regexp.MustCompile("^#+ `([^`]+)`")
	flagRow = regexp.MustCompile("^\\| (?:`-(\\w)`, )?`--([a-z-]+)` \\|")
	quoted  = regexp.MustCompile("^`([^`]*)`$")
)

// table reads the rows below the heading that begins with the program's name.
func table(text, program string) (rows map[string]row, faults []string) {
	rows = map[string]row{}
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") {
			name := heading.FindStringSubmatch(line)
			inside = name != nil && name[1] == program
		}
		names := flagRow.FindStringSubmatch(line)
		if !inside || names == nil {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 5 {
			faults = append(faults, fmt.Sprintf("--%s has %d columns and not 5", names[2], len(cells)))
			continue
		}
		if _, twice := rows[names[2]]; twice {
			faults = append(faults, fmt.Sprintf("--%s is there twice", names[2]))
		}
		rows[names[2]] = row{Setting{names[2], names[1], constant(cells[1]), constant(cells[2])}, strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4])}
	}
	return rows, faults
}

// constant is what a cell holds in back quotes; empty: it is prose.
func constant(cell string) string {
	if m := quoted.FindStringSubmatch(strings.TrimSpace(cell)); m != nil {
		return m[1]
	}
	return ""
}
