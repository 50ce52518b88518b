package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWriteTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	for _, c := range []struct{ before, after string }{
		{"", "table\n"},
		{"no marks\n", "table\n"},
		{"a\n" + tableBegin + "old\n" + tableEnd + "z\n", "a\n" + tableBegin + "table\n" + tableEnd + "z\n"},
	} {
		if err := os.WriteFile(path, []byte(c.before), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := writeTable(path, "table\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != c.after {
			t.Errorf("%q became %q, want %q; %v", c.before, got, c.after, err)
		}
	}
}
