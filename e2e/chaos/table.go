package main

import (
	"bytes"
	"errors"
	"os"
)

// The marks between which a document holds the table.
const (
	tableBegin = "<!-- chaos: begin -->\n"
	tableEnd   = "<!-- chaos: end -->\n"
)

// writeTable replaces what is between the marks of a document, or the whole
// file if it has none.
func writeTable(path, table string) error {
	was, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	before, rest, begun := bytes.Cut(was, []byte(tableBegin))
	_, after, ended := bytes.Cut(rest, []byte(tableEnd))
	now := []byte(table)
	if begun && ended {
		now = bytes.Join([][]byte{before, []byte(tableBegin), now, []byte(tableEnd), after}, nil)
	}
	return os.WriteFile(path, now, 0o644)
}
