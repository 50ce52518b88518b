package harness

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Reload gives the distributor these analyzers, with the weights they have now,
// by its configuration file and SIGHUP. It does not wait. Options.File must have
// been asked for.
func (d *Distributor) Reload(analyzers []*Analyzer) error {
	if err := d.configure(analyzers); err != nil {
		return err
	}
	d.proc.Signal(syscall.SIGHUP)
	return nil
}

// configure writes the file in one step, as an editor would.
func (d *Distributor) configure(analyzers []*Analyzer) error {
	var text strings.Builder
	text.WriteString("analyzers:\n")
	for _, a := range analyzers {
		fmt.Fprintf(&text, "  - {name: %s, address: %q, weight: %g}\n", a.Name, a.addr, a.Weight)
	}
	return d.writeFile(text.String())
}

// Spoil makes the configuration file one that cannot be obeyed, and reloads it.
func (d *Distributor) Spoil() error {
	if err := d.writeFile("analyzers: none\nmax_que: 5\n"); err != nil {
		return err
	}
	d.proc.Signal(syscall.SIGHUP)
	return nil
}

func (d *Distributor) writeFile(text string) error {
	if err := os.WriteFile(d.file+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(d.file+".new", d.file)
}
