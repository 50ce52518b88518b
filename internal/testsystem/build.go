package testsystem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Programs is the folder of the built programs of one version.
type Programs string

// Path is where a program is: server, analyzer, agent, loadgen.
func (p Programs) Path(name string) string { return filepath.Join(string(p), name) }

// Root is the folder of the module that the tests belong to.
func Root(ctx context.Context) (string, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("where is the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(mod))), nil
}

// Build builds packages of this tree, such as ./server, into dir. They are
// built without the race detector, whatever we are: their timing is what is
// tested.
func Build(ctx context.Context, dir string, packages ...string) (Programs, error) {
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	return build(ctx, root, dir, packages)
}

func build(ctx context.Context, root, dir string, packages []string, flags ...string) (Programs, error) {
	args := append([]string{"build", "-o", dir + string(filepath.Separator)}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build in %s: %w\n%s", root, err, bytes.TrimSpace(out))
	}
	return Programs(dir), nil
}

// ErrNoCommit is why BuildCommit built nothing.
var ErrNoCommit = errors.New("the commit is not in this clone")

// BuildCommit builds packages of a commit of this repository, and keeps them
// under bin/ by the name of the commit: the next one finds them there. The error
// is ErrNoCommit if the clone is shallow, or there is none.
func BuildCommit(ctx context.Context, commit string, packages ...string) (Programs, error) {
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	kept := Programs(filepath.Join(root, "bin", "commits", commit))
	if complete(kept, packages) {
		return kept, nil
	}
	git := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = root
		return cmd
	}
	if err := git("cat-file", "-e", commit+"^{commit}").Run(); err != nil {
		return "", fmt.Errorf("%w: %s", ErrNoCommit, commit)
	}
	if err := os.MkdirAll(filepath.Dir(string(kept)), 0o755); err != nil {
		return "", err
	}
	// In a folder of its own, which gets the name that is looked for by one
	// rename: tests of several packages may build the same commit at once.
	work, err := os.MkdirTemp(filepath.Dir(string(kept)), "building-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	source, archive, built := filepath.Join(work, "source"), filepath.Join(work, "source.tar"), filepath.Join(work, "bin")
	if err := os.Mkdir(source, 0o755); err != nil {
		return "", err
	}
	if out, err := git("archive", "--format=tar", "--output="+archive, commit).CombinedOutput(); err != nil {
		return "", fmt.Errorf("git archive %s: %w\n%s", commit, err, out)
	}
	if out, err := exec.CommandContext(ctx, "tar", "-xf", archive, "-C", source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w\n%s", err, out)
	}
	// Go would else stamp the programs with the state of the tree around them.
	if _, err := build(ctx, source, built, packages, "-buildvcs=false", "-trimpath"); err != nil {
		return "", err
	}
	if err := os.Rename(built, string(kept)); err != nil && !complete(kept, packages) {
		return "", err
	}
	return kept, nil
}

func complete(p Programs, packages []string) bool {
	for _, pkg := range packages {
		if _, err := os.Stat(p.Path(filepath.Base(pkg))); err != nil {
			return false
		}
	}
	return true
}
