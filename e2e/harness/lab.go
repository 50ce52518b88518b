package harness

import (
	"context"
	"path/filepath"

	"sluice/internal/testsystem"
)

// Lab is where scenarios run: the programs under test, and the ports that were
// given out. Safe for concurrent use.
type Lab struct {
	Dir string // holds the programs and a folder for each run

	server, analyzer, loadgen, helper string

	ports testsystem.Ports
}

// NewLab builds the programs into dir, or takes them from bin if that is not
// empty. They are built without the race detector, whatever we are: their
// timing is what is tested.
func NewLab(ctx context.Context, dir, bin string) (*Lab, error) {
	l := &Lab{Dir: dir}
	if bin == "" {
		bin = filepath.Join(dir, "bin")
		if _, err := testsystem.Build(ctx, bin, "./server", "./analyzer", "./loadgen", "./e2e/chaos"); err != nil {
			return nil, err
		}
	}
	l.server, l.analyzer = filepath.Join(bin, "server"), filepath.Join(bin, "analyzer")
	l.loadgen, l.helper = filepath.Join(bin, "loadgen"), filepath.Join(bin, "chaos")
	return l, nil
}
