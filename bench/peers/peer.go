package main

import (
	"cmp"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// weights of the four sinks that peers are compared with, in percent.
var weights = [...]int{40, 30, 20, 10}

// peer is a program that may stand in the middle. Immutable.
type peer struct {
	name  string
	title string // for people
	ack   string // what an answer to the agent means
	note  string // how it was set up, and how it balances

	// takes is what its agents and sinks speak. Empty: Sluice's own protocol,
	// with loadgen and analyzers.
	takes dialect
	// ours says that it is a Sluice: it has a ledger, and takes /ingest.
	ours bool
	// perRecord says that each record is balanced, not each connection.
	perRecord bool

	// bin is the folder of all its programs, its agents and sinks included.
	// Empty: that of the command.
	bin      string
	programs []string // names to look for, the first that is there
	version  []string // arguments that make it tell its version
	// lacks says what an installed program misses to be a peer, such as a module
	// that is a package of its own. nil or "": nothing.
	lacks func(program string) string
	// configure writes what it needs into s.dir and returns its arguments.
	configure func(s *setting) ([]string, error)
	// serving says whether it can take records. nil: when it accepts connections.
	serving func(s *setting) bool
}

// setting is where a program in the middle is to run.
type setting struct {
	dir     string   // its own, empty
	addr    string   // where agents connect
	http    string   // a second address, for those that serve statistics
	targets []string // where sinks listen, in the order of weights
	weights []int    // of the sinks; only their ratios count
	flags   []string // further flags of Sluice's server
	bin     string   // folder of the agents and sinks that speak Sluice's protocol
}

// cores is how many threads a peer is given that asks for a number.
var cores = runtime.NumCPU()

// peers are all that can be measured, in the order of the tables.
func peers() []peer {
	return []peer{
		sluice(),
		haproxy("haproxy", "HAProxy TCP relay", 64<<10),
		haproxy("haproxy-16k", "HAProxy, 16 KiB buffers", 16<<10),
		nginx(), natsServer(), rsyslog(),
	}
}

// folder is where the peer's programs are: its own folder, or bin.
func (p *peer) folder(bin string) string { return cmp.Or(p.bin, bin) }

// find returns the peer's program, or "" if it is not installed.
func (p *peer) find(bin string) string {
	bin = p.folder(bin)
	for _, name := range p.programs {
		for _, dir := range []string{"", bin, filepath.Join(bin, "peers"), "/usr/sbin", "/usr/local/sbin"} {
			if p.ours && dir != bin {
				continue // the one that was built, not one that was installed
			}
			path := name
			if dir != "" {
				path = filepath.Join(dir, name)
			}
			if found, err := exec.LookPath(path); err == nil {
				if absolute, err := filepath.Abs(found); err == nil {
					return absolute
				}
			}
		}
	}
	return ""
}

// available returns the peer's program, or an error that says why it cannot be
// measured here.
func (p *peer) available(bin string) (string, error) {
	program := p.find(bin)
	if program == "" {
		return "", errNotInstalled
	}
	if p.lacks != nil {
		if what := p.lacks(program); what != "" {
			return "", fmt.Errorf("%w: %s", errNotInstalled, what)
		}
	}
	return program, nil
}

// tellVersion is the first line that the program says of its version.
func (p *peer) tellVersion(program string) string {
	out, err := exec.Command(program, p.version...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		return "unknown (" + err.Error() + ")"
	}
	line, _, _ = strings.Cut(line, " - ")             // HAProxy adds its address
	line = strings.TrimSuffix(line, "compiled with:") // rsyslog lists its features
	return strings.Join(strings.Fields(line), " ")
}
