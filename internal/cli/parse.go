package cli

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Program is what is told of a program or a command besides its flags. Immutable.
type Program struct {
	Name        string // as it is called
	Description string
	Notes       string // follows the flags in --help; verbatim

	// Elsewhere: values are judged by the caller, who reads the environment
	// itself and tells what --help says of each flag. Unset, that is taken from
	// the flag's tags.
	Elsewhere func(flag string) Explained
}

// Explained is what --help says of a flag besides its text. Immutable.
type Explained struct {
	Env     string // its variable
	Default string
	Bounds  string // "from 0 to 1024"
}

// Parsed is what came of a command line. Immutable.
type Parsed struct {
	Done     bool              // --help or --version was asked for and is answered; there is nothing else to do
	Command  string            // the command chosen, as in "drop"; empty if the program has none
	Given    map[string]string // flags that were given on the command line, and their text
	Warnings []string          // of variables that have no effect

	variables map[string]string // where a flag's value is from, if it is from the environment
}

// Fault is one of a flag that Parse could read, under the name it was given by.
func (p Parsed) Fault(flag, value, text string) Fault {
	if name := p.variables[flag]; name != "" {
		return Fault{Setting: name, Value: value, Text: text}
	}
	return Fault{Setting: "--" + flag, Value: value, Text: text}
}

// Parse reads a command line and the environment into a struct of flags. A flag
// beats its variable, which beats its default; an empty variable counts as not
// set.
//
// The struct is kong's: fields are flags, named by their tags help, default,
// env, short, placeholder, negatable. Types are string, bool, int, int64,
// uint64, float64, time.Duration, [Bytes], [Pair], pointers to them (nil: not
// given), slices of them, and [VersionFlag]. The tags min and max bound a
// value, and choice lists the strings allowed, separated by commas.
//
// The error is an *Errors with every fault there is, which kong alone would not
// tell: it stops at its first. What could not be read is then at its default, so
// that a caller who judges the values further does not blame it twice.
func Parse(p Program, flags any, args []string, env Environ, stdout io.Writer) (Parsed, error) {
	r := &reader{env: env, sources: map[*kong.Value]string{}}
	parsed := Parsed{Given: map[string]string{}, variables: map[string]string{}}
	parser, err := newParser(p, flags, r, stdout, func() { parsed.Done = true })
	if err != nil {
		return parsed, err
	}
	args, faults := sift(args, parser.Model)
	ctx, err := parser.Parse(args)
	if parsed.Done {
		if wantsNotes(args) {
			_, err = io.WriteString(stdout, p.Notes)
			return parsed, err
		}
		return parsed, nil
	}
	faults = append(faults, r.faults...)
	if err != nil {
		faults = append(faults, Fault{Text: err.Error()})
	} else {
		for _, step := range ctx.Path {
			if step.Flag != nil && !step.Resolved {
				parsed.Given[step.Flag.Name] = fmt.Sprint(ctx.FlagValue(step.Flag))
			}
		}
		if selected := ctx.Selected(); selected != nil {
			parsed.Command = selected.Name
		}
	}
	for v, name := range r.sources {
		parsed.variables[v.Name] = name
	}
	parsed.Warnings = env.Unknown(variables(p, parser.Model))
	if len(faults) > 0 {
		return parsed, &Errors{Faults: faults}
	}
	return parsed, nil
}

// wantsNotes says whether --help was asked for, and not --version first.
func wantsNotes(args []string) bool {
	help := slices.Index(args, "--help")
	version := slices.Index(args, "--version")
	return help >= 0 && (version < 0 || help < version)
}

func newParser(p Program, flags any, r *reader, stdout io.Writer, done func()) (*kong.Kong, error) {
	options := append(r.mappers(),
		kong.Name(p.Name),
		kong.Description(p.Description),
		kong.Vars{"version": p.Name + " " + Version()},
		kong.Writers(stdout, stdout),
		kong.Exit(func(int) { done() }),
		kong.ConfigureHelp(kong.HelpOptions{NoAppDescFormat: true, WrapUpperBound: 100, NoExpandSubcommands: true}),
		kong.ValueFormatter(func(v *kong.Value) string { return explained(p, v) }),
		kong.Resolvers(kong.ResolverFunc(r.resolve)),
	)
	parser, err := kong.New(flags, options...)
	if err != nil {
		return nil, err
	}
	eachFlag(parser.Model.Node, func(f *kong.Flag) {
		f.Value.Tag.Envs = nil // ours to read: kong would stop at its first fault
	})
	return parser, nil
}

// Model is what Parse would read into flags, for tests that hold documents
// against it.
func Model(flags any) (*kong.Application, error) {
	parser, err := newParser(Program{Name: "program"}, flags, &reader{sources: map[*kong.Value]string{}}, io.Discard, func() {})
	if err != nil {
		return nil, err
	}
	return parser.Model, nil
}

func eachFlag(node *kong.Node, do func(*kong.Flag)) {
	for _, f := range node.Flags {
		do(f)
	}
	for _, child := range node.Children {
		eachFlag(child, do)
	}
}

// explain finds what is to be said of a flag.
func explain(p Program, f *kong.Flag) Explained {
	if p.Elsewhere != nil {
		if e := p.Elsewhere(f.Name); e != (Explained{}) {
			return e
		}
	}
	e := Explained{Default: f.Default}
	if len(f.Envs) > 0 {
		e.Env = f.Envs[0]
	}
	switch low, high := f.Tag.Get("min"), f.Tag.Get("max"); {
	case low != "" && high != "":
		e.Bounds = "from " + low + " to " + high
	case low != "":
		e.Bounds = "at least " + low
	case high != "":
		e.Bounds = "at most " + high
	}
	return e
}

func variables(p Program, app *kong.Application) (names []string) {
	eachFlag(app.Node, func(f *kong.Flag) {
		if env := explain(p, f).Env; env != "" {
			names = append(names, env)
		}
	})
	return names
}

// explained is the help of a flag with its variable, default and bounds.
func explained(p Program, v *kong.Value) string {
	if v.Flag == nil {
		return v.Help
	}
	e := explain(p, v.Flag)
	var notes []string
	if e.Env != "" {
		notes = append(notes, e.Env)
	}
	if e.Default != "" {
		notes = append(notes, "default "+e.Default)
	}
	if e.Bounds != "" {
		notes = append(notes, e.Bounds)
	}
	if len(notes) == 0 {
		return v.Help
	}
	return v.Help + " [" + strings.Join(notes, ", ") + "]"
}

// reader decodes values for kong. A value that cannot be read is noted, and the
// rest is read all the same. Owned by one call of Parse.
type reader struct {
	env     Environ
	sources map[*kong.Value]string // the variable that a value is from
	faults  []Fault
}

// resolve finds the variable of a flag that was not given.
func (r *reader) resolve(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
	for _, name := range f.Envs {
		if value, set := r.env.Lookup(name); set {
			r.sources[f.Value] = name
			return value, nil
		}
	}
	return nil, nil
}

func (r *reader) fault(v *kong.Value, text string, err error) {
	f := Fault{Setting: r.sources[v], Value: text, Text: err.Error()}
	switch {
	case f.Setting != "":
	case v.Flag != nil:
		f.Setting = "--" + v.Name
	default:
		f.Setting = v.Name
	}
	if !slices.Contains(r.faults, f) {
		r.faults = append(r.faults, f)
	}
}

// decode makes a mapper of a function that reads one text.
func decode(r *reader, read func(v *kong.Value, text string, target reflect.Value) error) kong.Mapper {
	return kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("value", &text); err != nil {
			return err
		}
		err := read(ctx.Value, text, target)
		if err == nil {
			return nil
		}
		r.fault(ctx.Value, text, err)
		if v := ctx.Value; v.HasDefault && v.Target.Type() == target.Type() {
			return read(v, v.Default, target)
		}
		return nil
	})
}
