package config

import (
	"errors"
	"io"
	"strings"

	"sluice/internal/cli"
)

// Load makes the configuration of args (without the program's name), env and the
// file that one of them names. The error is a *cli.Errors with every fault there
// is; the Config is then not to be used, but the Report still tells what was
// asked. --help and --version are answered on stdout, and nothing is judged.
func Load(args []string, env cli.Environ, stdout io.Writer) (Config, Report, error) {
	var into flags
	line, err := cli.Parse(program(), &into, args, env, stdout)
	report := Report{Check: into.Check, Done: line.Done, Warnings: line.Warnings}
	cfg := Config{Limits: defaultLimits()}
	if report.Done {
		return cfg, report, err
	}
	var faults []cli.Fault
	var wrong *cli.Errors
	if errors.As(err, &wrong) {
		faults = wrong.Faults
	}
	given := line.Given
	report.File = given[fileFlag]
	if value, _ := env.Lookup(fileEnv); report.File == "" {
		report.File = value
	}
	var said *file
	if report.File != "" {
		var wrong []cli.Fault
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
			fault := cli.Fault{Setting: name, Value: value, Text: text}
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
		return cfg, report, &cli.Errors{Faults: faults}
	}
	return cfg, report, nil
}

const originDefault = "default"

// resolve finds the value in force, under the name that its giver knows it by.
func resolve(s setting, given map[string]string, env cli.Environ, said *file) (name, value, origin string) {
	if value, set := given[s.flag]; set {
		return "--" + s.flag, value, "flag --" + s.flag
	}
	if value, _ := env.Lookup(s.env); value != "" {
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
func conflicts(cfg *Config) (faults []cli.Fault) {
	taken := map[string]string{}
	for _, a := range [][2]string{{"--listen", cfg.Listen}, {"--http", cfg.HTTPListen}, {"--admin", cfg.Admin}} {
		flag, addr := a[0], a[1]
		if other := taken[addr]; other != "" && !strings.HasSuffix(addr, ":0") {
			faults = append(faults, cli.Fault{Text: other + " and " + flag + " are both " + addr + "; each needs a port of its own"})
		}
		if addr != "" {
			taken[addr] = flag
		}
	}
	return faults
}
