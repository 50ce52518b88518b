package docstest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// elsewhere are names of documents that this repository does not hold. A reader
// who meets one has nothing to look it up in.
var elsewhere = []*regexp.Regexp{
	regexp.MustCompile(`\b(DESIGN|DECISIONS|REVIEW|JOURNAL|STYLE|INPUTS|LIBRARIES)\b`),
	regexp.MustCompile(`\b[Ii]ssue #?\d|\b(the|this) issue (asks|says|wants|demands|names)`),
	regexp.MustCompile(`\bshared/[A-Z]|\bshared/(cases|hooks)\b`),
	regexp.MustCompile(`(?:^|[^/\w])ACCEPTANCE\.md`),
}

// TestNoReferenceLeadsElsewhere holds code, comments and documents to what the
// repository has.
func TestNoReferenceLeadsElsewhere(t *testing.T) {
	for _, file := range committed(t) {
		if strings.HasPrefix(file.path, "internal/docstest/") {
			continue
		}
		for n, line := range strings.Split(file.text, "\n") {
			if found := leadsElsewhere(file.path, line); found != "" {
				t.Errorf("%s:%d: %q is not of this repository: say it in its own words, or name a document that is here", file.path, n+1, found)
			}
		}
	}
}

func leadsElsewhere(path, line string) string {
	for i, pattern := range elsewhere {
		// Documents name their neighbours without a folder.
		if beside := i == len(elsewhere)-1 && strings.HasPrefix(path, "docs/"); beside {
			continue
		}
		if found := pattern.FindString(line); found != "" {
			return strings.TrimSpace(found)
		}
	}
	return ""
}

func TestReferencesThatLeadElsewhere(t *testing.T) {
	for _, line := range []string{
		"// (shared DESIGN, promise 5).", "as DECISIONS says", "of ACCEPTANCE.md, or E1", "experiments of issue 3", "issue #14", "which the issue asks for",
		"see shared/PROTOCOL.md", "../shared/cases/hostile",
	} {
		if leadsElsewhere("server/a.go", line) == "" {
			t.Errorf("%q was not found", line)
		}
	}
	for _, line := range []string{"docs/ACCEPTANCE.md has the rows", "the obvious design", "it issues 3 of them", "a shared/unshared table", "the reviewer"} {
		if found := leadsElsewhere("server/a.go", line); found != "" {
			t.Errorf("%q: %q was found", line, found)
		}
	}
}

// text is a file of the repository. Immutable.
type text struct {
	path string // from the root
	text string
}

// committed gives every text file that git knows, or would with the next add.
func committed(t *testing.T) (all []text) {
	t.Helper()
	root := filepath.Join("..", "..")
	list, err := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Skip("SKIPPED: this is no git checkout, so nothing tells which files are the project's: ", err)
	}
	for path := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(root, path))
		if os.IsNotExist(err) {
			continue // deleted, and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		if utf8.Valid(content) && !bytes.ContainsRune(content, 0) {
			all = append(all, text{path, string(content)})
		}
	}
	return all
}
