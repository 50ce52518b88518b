package cli

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// sifter knows the flags of a program, over all of its commands. Owned by one
// call of sift.
type sifter struct {
	takesValue map[string]bool // by what stands on the command line, dashes included
	long       map[string]string
	names      []string // long ones without dashes, for suggestions
	strays     bool     // arguments that are not flags have a meaning
}

func newSifter(app *kong.Application) *sifter {
	s := &sifter{takesValue: map[string]bool{}, long: map[string]string{}, strays: hasArguments(app.Node)}
	eachFlag(app.Node, func(f *kong.Flag) {
		name := "--" + f.Name
		s.takesValue[name] = !f.IsBool()
		s.names = append(s.names, f.Name)
		if f.Tag.Negatable != "" {
			s.takesValue["--no-"+f.Name] = false
			s.names = append(s.names, "no-"+f.Name)
		}
		if f.Short != 0 {
			s.long["-"+string(f.Short)] = name
		}
	})
	return s
}

func hasArguments(node *kong.Node) bool { return len(node.Children)+len(node.Positional) > 0 }

// sift writes each known flag in one way, --name or --name=value, and takes out
// what is not known, each a fault: kong would stop at the first, and judge
// nothing else.
func sift(args []string, app *kong.Application) (kept []string, faults []Fault) {
	s := newSifter(app)
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" && s.strays {
			return append(kept, args...), faults
		}
		var used int
		var flags []string
		var fault Fault
		switch {
		case strings.HasPrefix(arg, "--") && arg != "--":
			flags, used, fault = s.flag(arg, args[1:])
		case strings.HasPrefix(arg, "-") && arg != "-" && arg != "--":
			flags, used, fault = s.letters(arg, args[1:])
		case s.strays:
			flags = []string{arg}
		default:
			fault = Fault{Text: fmt.Sprintf("unexpected argument %q; see --help", arg)}
		}
		kept, args = append(kept, flags...), args[1+used:]
		if fault.Text != "" {
			faults = append(faults, fault)
		}
	}
	return kept, faults
}

// flag reads one --flag; used says how many of the arguments behind it are its.
func (s *sifter) flag(arg string, behind []string) (flags []string, used int, fault Fault) {
	name, _, joined := strings.Cut(arg, "=")
	value, known := s.takesValue[name]
	switch {
	case !known:
		if !joined && len(behind) > 0 && !strings.HasPrefix(behind[0], "-") {
			used = 1 // most likely its value
		}
		return nil, used, s.unknown(name)
	case joined || !value:
		return []string{arg}, 0, fault
	case len(behind) == 0:
		return nil, 0, Fault{Setting: name, Text: "needs a value"}
	}
	return []string{name + "=" + behind[0]}, 1, fault
}

// letters reads -n 5, -n5, -n=5, and -vn5, where v is a switch.
func (s *sifter) letters(arg string, behind []string) (flags []string, used int, fault Fault) {
	rest := arg[1:]
	for rest != "" {
		letter := "-" + rest[:1]
		name, known := s.long[letter]
		rest = rest[1:]
		switch value := strings.TrimPrefix(rest, "="); {
		case !known:
			return flags, 0, s.unknown(letter)
		case !s.takesValue[name] && value == rest:
			flags = append(flags, name)
		case value != "":
			return append(flags, name+"="+value), 0, fault
		default:
			more, used, fault := s.flag(name, behind)
			return append(flags, more...), used, fault
		}
	}
	return flags, 0, fault
}

func (s *sifter) unknown(name string) Fault {
	if bare, isLong := strings.CutPrefix(name, "--"); isLong {
		if near, found := nearestOf(bare, s.names, 1+len(bare)/3); found {
			return Fault{Setting: name, Text: "unknown flag; did you mean --" + near + "?"}
		}
	}
	return Fault{Setting: name, Text: "unknown flag; see --help"}
}
