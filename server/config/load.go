package config

import (
	"strconv"
	"strings"
)

// ExitCode is that of a program whose configuration is bad: EX_CONFIG of
// sysexits.h.
const ExitCode = 78

// Fault is one thing that is wrong, in the user's words. Immutable.
type Fault struct {
	Setting string // as the user gave it: "--listen" or "LISTEN"; may be empty
	Value   string // as the user gave it; empty when that is not the point
	Text    string
}

func (f Fault) String() string {
	switch {
	case f.Setting == "":
		return f.Text
	case f.Value == "":
		return f.Setting + ": " + f.Text
	}
	return f.Setting + " " + strconv.Quote(f.Value) + ": " + f.Text
}

// Errors are all faults of a configuration at once, never none. A program that
// gets them prints one per line and exits with ExitCode. Immutable.
type Errors struct{ Faults []Fault }

func (e *Errors) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Load makes the configuration of args (without the program's name), env (such
// as os.LookupEnv) and the file that one of them names. The error is an *Errors with every fault there is;
// the Config is then not to be used, but the Report still tells what was asked.
// With --help or --version nothing is judged.
func Load(args []string, env func(string) (string, bool)) (Config, Report, error) {
	into, given, faults := parseFlags(args)
	report := Report{Check: into.Check, Help: into.Help, Version: into.Version}
	cfg := Config{Limits: defaultLimits()}
	if report.Help || report.Version {
		return cfg, report, nil
	}
	report.File = given[fileFlag]
	if value, _ := env(fileEnv); report.File == "" {
		report.File = value
	}
	var said *file
	if report.File != "" {
		var wrong []Fault
		said, wrong = readFile(report.File)
		faults = append(faults, wrong...)
		report.FileSettings = said.count()
	}
	all := settings()
	report.Settings = make([]Setting, len(all))
	for i, s := range all {
		name, value, origin := resolve(s, given, env, said)
		problems := []string{"must not be empty"}
		if value != "" {
			problems = s.take(&cfg, value)
		}
		for _, text := range problems {
			fault := Fault{Setting: name, Value: value, Text: text}
			if strings.HasPrefix(text, "entry ") {
				fault.Value = "" // a long list, and the fault quotes its part
			}
			faults = append(faults, fault)
		}
		report.Settings[i] = Setting{Flag: s.flag, Value: value, Origin: origin}
		if len(problems) == 0 {
			report.Settings[i].Value = s.show(&cfg)
		}
	}
	faults = append(faults, conflicts(&cfg)...)
	if warning := adminWarning(&cfg); warning != "" {
		report.Warnings = append(report.Warnings, warning)
	}
	if report.File != "" && len(faults) == 0 && report.analyzersAreDefault() {
		report.Warnings = append(report.Warnings, report.File+": names no analyzers; the default ones of the demo are used, and a reload of this file will be refused")
	}
	if len(faults) > 0 {
		return cfg, report, &Errors{Faults: faults}
	}
	return cfg, report, nil
}

const originDefault = "default"

// resolve finds the value in force, under the name that its giver knows it by.
func resolve(s setting, given map[string]string, env func(string) (string, bool), said *file) (name, value, origin string) {
	if value, set := given[s.flag]; set {
		return "--" + s.flag, value, "flag --" + s.flag
	}
	if value, _ := env(s.env); value != "" {
		return s.env, value, "environment " + s.env
	}
	if said != nil {
		if v := said.values[s.flag]; v.text != "" { // an empty one counts as not set, as in the environment
			name = said.named(v.line, s.key())
			return name, v.text, "file " + name
		}
	}
	return "--" + s.flag, s.preset, originDefault
}

// conflicts are the faults that no value has alone.
func conflicts(cfg *Config) (faults []Fault) {
	taken := map[string]string{}
	for _, a := range [][2]string{{"--listen", cfg.Listen}, {"--http", cfg.HTTPListen}, {"--admin", cfg.Admin}} {
		flag, addr := a[0], a[1]
		if other := taken[addr]; other != "" && !strings.HasSuffix(addr, ":0") {
			faults = append(faults, Fault{Text: other + " and " + flag + " are both " + addr + "; each needs a port of its own"})
		}
		if addr != "" {
			taken[addr] = flag
		}
	}
	return faults
}
