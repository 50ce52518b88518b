package testsystem

import (
	"errors"
	"net"
	"os/exec"
	"strings"
	"testing"
)

func TestPortsAreGivenOnce(t *testing.T) {
	var ports Ports
	seen := map[string]bool{}
	for range 200 {
		addr, err := ports.Addr()
		if err != nil || seen[addr] {
			t.Fatalf("%s again: %v, error %v", addr, seen[addr], err)
		}
		seen[addr] = true
	}
	for addr := range seen {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue // somebody else's by now
		}
		ln.Close()
		return
	}
	t.Error("none of 200 ports can be listened at")
}

// TestBuildCommitWithoutTheCommit: a shallow clone is told from a failed build.
func TestBuildCommitWithoutTheCommit(t *testing.T) {
	if _, err := BuildCommit(t.Context(), strings.Repeat("0", 39)+"1", "./analyzer"); !errors.Is(err, ErrNoCommit) {
		t.Errorf("error %v", err)
	}
}

// TestBuildSaysWhatIsWrong builds a package that does not exist.
func TestBuildSaysWhatIsWrong(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("SKIPPED: there is no go")
	}
	if _, err := Build(t.Context(), t.TempDir(), "./nowhere"); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error %v", err)
	}
}
