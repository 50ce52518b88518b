package docstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// public are the packages that are for programs of others.
var public = []string{"analyzer/receive", "client", "protocol"}

// goPackage is what go list says of a package. Immutable.
type goPackage struct {
	ImportPath string
	Name       string
	Imports    []string // of its code, not of its tests
}

// mapRow is a line of the map in docs/ARCHITECTURE.md. Immutable.
type mapRow struct {
	name, standing, imports, what string
}

func (r mapRow) String() string {
	return fmt.Sprintf("| `%s` | %s | %s | %s |", r.name, r.standing, r.imports, r.what)
}

// TestMap: the map lists every package with its direct imports within the
// module and why it is where it is, and no package that is not there.
func TestMap(t *testing.T) {
	text := architecture(t)
	packages := goPackages(t)
	for _, fault := range compareMap(text, packages) {
		t.Errorf("docs/ARCHITECTURE.md, %q: %s", "The map", fault)
	}
	for _, fault := range compareLibraries(text, packages) {
		t.Errorf("docs/ARCHITECTURE.md, %q: %s", "The map", fault)
	}
}

const module = "sluice/"

func compareMap(text string, packages []goPackage) (faults []string) {
	rows := map[string]mapRow{}
	for _, cells := range tableRows(text, "package", 4) {
		r := mapRow{strings.Trim(cells[0], "`"), cells[1], cells[2], cells[3]}
		if _, twice := rows[r.name]; twice {
			faults = append(faults, fmt.Sprintf("%s is there twice", r.name))
		}
		rows[r.name] = r
	}
	for _, p := range packages {
		want := mapRow{name: strings.TrimPrefix(p.ImportPath, module), standing: standing(p), imports: packageList(within(p.Imports)), what: "(what it is)"}
		if want.standing == "" {
			faults = append(faults, fmt.Sprintf("%s is importable by everybody, and is neither public nor part of a program: move it under internal/", want.name))
			continue
		}
		is, there := rows[want.name]
		delete(rows, want.name)
		if !there {
			faults = append(faults, fmt.Sprintf("%s is missing; add\n%v", want.name, want))
			continue
		}
		want.what = is.what
		if is != want {
			faults = append(faults, fmt.Sprintf("%s has changed; the line must be\n%v\nand is\n%v", want.name, want, is))
		}
	}
	for _, r := range rows {
		faults = append(faults, fmt.Sprintf("there is no package %s; remove\n%v", r.name, r))
	}
	slices.Sort(faults)
	return faults
}

// standing says why a package is where it is; nothing if there is no reason.
func standing(p goPackage) string {
	name := strings.TrimPrefix(p.ImportPath, module)
	top, _, below := strings.Cut(name, "/")
	switch {
	case slices.Contains(public, name):
		return "public"
	case top == "internal":
		return "internal"
	case p.Name == "main":
		return "program"
	case below && slices.Contains([]string{"agent", "analyzer", "protocol", "server"}, top):
		return "part of " + top
	case slices.Contains([]string{"bench", "deploy", "e2e"}, top):
		return "tests"
	}
	return ""
}

// compareLibraries holds the table of libraries and their importers.
func compareLibraries(text string, packages []goPackage) (faults []string) {
	rows := tableRows(text, "library", 2)
	if len(rows) == 0 {
		return []string{"the table of libraries is missing"}
	}
	for _, cells := range rows {
		library := strings.Trim(cells[0], "`")
		var importers []string
		for _, p := range packages {
			if slices.ContainsFunc(p.Imports, func(i string) bool { return i == library || strings.HasPrefix(i, library+"/") }) {
				importers = append(importers, strings.TrimPrefix(p.ImportPath, module))
			}
		}
		if want := packageList(importers); cells[1] != want {
			faults = append(faults, fmt.Sprintf("the importers of %s have changed; the line must be\n| `%s` | %s |", library, library, want))
		}
	}
	return faults
}

func within(imports []string) (all []string) {
	for _, i := range imports {
		if name, ours := strings.CutPrefix(i, module); ours {
			all = append(all, name)
		}
	}
	return all
}

// packageList is a cell that lists packages.
func packageList(names []string) string {
	if len(names) == 0 {
		return "–"
	}
	slices.Sort(names)
	return "`" + strings.Join(names, "`, `") + "`"
}

// tableRows gives the cells of the table of the map whose first column has that
// title.
func tableRows(text, title string, columns int) (rows [][]string) {
	inside := false
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case !strings.HasPrefix(line, "|"):
			inside = false
		case cells[0] == title:
			inside = true
		case inside && len(cells) == columns && !strings.HasPrefix(cells[0], "---"):
			rows = append(rows, cells)
		}
	}
	return rows
}

var mapSection = regexp.MustCompile(`(?s)\n## The map\n(.*?)\n## `)

func architecture(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	section := mapSection.FindStringSubmatch(string(text))
	if section == nil {
		t.Fatal("docs/ARCHITECTURE.md has no section \"The map\"")
	}
	return section[1]
}

// goPackages gives the module's packages as they are on Linux.
func goPackages(t *testing.T) (all []goPackage) {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Name,Imports", "./...")
	list.Dir = filepath.Join("..", "..")
	list.Env = append(os.Environ(), "GOOS=linux")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// The map is held in each of its parts, and what is wrong is told as the line
// that would be right.
func TestMapTellsTheLine(t *testing.T) {
	packages := []goPackage{
		{"sluice/server", "main", []string{"sluice/server/route", "fmt"}},
		{"sluice/server/route", "route", []string{"math"}},
	}
	good := "| package | standing | imports | what |\n|---|---|---|---|\n" +
		"| `server` | program | `server/route` | runs |\n| `server/route` | part of server | – | picks |\n"
	if faults := compareMap(good, packages); len(faults) > 0 {
		t.Errorf("a true map has the faults %q", faults)
	}
	for name, c := range map[string]struct {
		text     string
		packages []goPackage
		want     string
	}{
		"missing":     {good, append(packages, goPackage{"sluice/internal/seglog", "seglog", []string{"os"}}), "| `internal/seglog` | internal | – | (what it is) |"},
		"changed":     {good, append(packages[:1:1], goPackage{"sluice/server/route", "route", []string{"sluice/protocol"}}), "| `server/route` | part of server | `protocol` | picks |"},
		"gone":        {good, packages[:1], "there is no package server/route"},
		"twice":       {good + "| `server` | program | `server/route` | runs |\n", packages, "server is there twice"},
		"misplaced":   {good, append(packages, goPackage{"sluice/tools", "tools", nil}), "move it under internal/"},
		"other place": {strings.Replace(good, "part of server", "public", 1), packages, "| `server/route` | part of server | – | picks |"},
	} {
		if faults := strings.Join(compareMap(c.text, c.packages), "\n"); !strings.Contains(faults, c.want) {
			t.Errorf("%s: told %q, want %q", name, faults, c.want)
		}
	}
}
