package command

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"sluice/internal/seglog"
)

// selection is which files drop is about: exactly one of its fields.
type selection struct {
	files     []string
	all       bool
	olderThan *time.Duration // nil: not a criterion
}

// pick returns the chosen files; every name must be one of the folder's.
func (s selection) pick(dir string, files []listed, now time.Time) ([]listed, error) {
	var picked []listed
	for _, f := range files {
		if s.all || s.olderThan != nil && now.Sub(f.Since) > *s.olderThan || slices.ContainsFunc(s.files, func(name string) bool { return isFile(dir, name, f) }) {
			picked = append(picked, f)
		}
	}
	for _, name := range s.files {
		if !slices.ContainsFunc(files, func(f listed) bool { return isFile(dir, name, f) }) {
			return nil, fmt.Errorf("%s is no dead-letter file of %s; nothing was dropped", name, dir)
		}
	}
	return picked, nil
}

// isFile takes the name that list shows, or the path that a shell completes.
func isFile(dir, name string, f listed) bool {
	return name == f.Name || filepath.Clean(name) == filepath.Join(dir, f.Name)
}

func (s selection) fault() string {
	ways := 0
	for _, given := range []bool{len(s.files) > 0, s.all, s.olderThan != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return "drop needs one of: names of files, --all, --older-than D; see --help"
	}
	return ""
}

func dropCommand(dir string, sel selection, yes bool, stdout, stderr io.Writer) int {
	if fault := sel.fault(); fault != "" {
		return usage(stderr, fault)
	}
	if err := checkFolder(dir); err != nil {
		return failed(stderr, err)
	}
	if yes { // only looking needs no lock
		lock, err := seglog.LockFolder(dir)
		if err != nil {
			return failed(stderr, err)
		}
		defer lock.Close()
	}
	files, err := look(dir, io.Discard)
	if err != nil {
		return failed(stderr, err)
	}
	picked, err := sel.pick(dir, files, time.Now())
	if err != nil {
		return failed(stderr, err)
	}
	if len(picked) == 0 {
		fmt.Fprintln(stdout, "nothing to drop")
		return exitDone
	}
	packets := 0
	for _, f := range picked {
		packets += f.Packets
	}
	what := count(len(picked), "file", "files") + " with " + count(packets, "packet", "packets")
	if !yes {
		if err := printTable(picked, stdout); err != nil {
			return failed(stderr, err)
		}
		return usage(stderr, "this would delete "+what+" for ever; add --yes to do it")
	}
	for _, f := range picked {
		err = errors.Join(err, f.file.Drop(dir))
	}
	if err != nil {
		return failed(stderr, err)
	}
	fmt.Fprintln(stdout, "dropped "+what)
	return exitDone
}
