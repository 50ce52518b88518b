package cli

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Name    string         `help:"A name." default:"anon" env:"SAMPLE_NAME"`
	Count   int            `short:"n" help:"How many." default:"3" min:"1" max:"9" env:"SAMPLE_COUNT"`
	Wait    time.Duration  `short:"w" help:"How long." default:"0.5" env:"SAMPLE_WAIT"`
	Size    Bytes          `help:"How large." default:"64KiB" min:"1KiB" max:"1MiB"`
	Rate    float64        `help:"How fast." default:"2.5"`
	Packets uint64         `help:"How many packets."`
	Kind    string         `help:"Which." choice:"a,b,c" default:"a"`
	Loud    bool           `short:"v" help:"Loudly." env:"SAMPLE_LOUD"`
	Hello   bool           `help:"Say hello." default:"true" negatable:""`
	Label   []Pair         `help:"Labels." env:"SAMPLE_LABEL"`
	File    []string       `help:"Files." sep:"none"`
	Since   *time.Duration `help:"Since when."`
	Version VersionFlag    `help:"Print the version and exit."`
}

func parseSample(env Environ, args ...string) (sample, Parsed, string, error) {
	var s sample
	var out bytes.Buffer
	p, err := Parse(Program{Name: "sample", Description: "Shows.", Notes: "\nTry it.\n"}, &s, args, env, &out)
	return s, p, out.String(), err
}

func TestParse(t *testing.T) {
	since := time.Duration(0)
	defaults := sample{Name: "anon", Count: 3, Wait: time.Second / 2, Size: 64 << 10, Rate: 2.5, Kind: "a", Hello: true}
	with := func(change func(*sample)) sample { s := defaults; change(&s); return s }
	for _, tc := range []struct {
		env  Environ
		args []string
		want sample
	}{
		{nil, nil, defaults},
		{Environ{"SAMPLE_COUNT=5", "SAMPLE_WAIT=", "SAMPLE_LOUD=yes", "SAMPLE_LABEL=a=b"}, nil,
			with(func(s *sample) { s.Count, s.Loud, s.Label = 5, true, []Pair{{"a", "b"}} })},
		{Environ{"SAMPLE_COUNT=5", "SAMPLE_LOUD=true", "SAMPLE_LABEL=a=b"}, []string{"--count=7", "--loud=no", "--label", "c=d", "--label=e=", "--file", "x,y", "--file", "-z"},
			with(func(s *sample) {
				s.Count, s.Label, s.File = 7, []Pair{{"c", "d"}, {"e", ""}}, []string{"x,y", "-z"}
			})},
		{nil, []string{"-n5", "-vw", "250ms", "--no-hello", "--since", "0", "--size", "2kb", "--packets=7", "--kind", "c", "--rate", "1"},
			with(func(s *sample) {
				s.Count, s.Loud, s.Wait, s.Hello, s.Since, s.Size, s.Packets, s.Kind, s.Rate = 5, true, 250*time.Millisecond, false, &since, 2000, 7, "c", 1
			})},
		{nil, []string{"-n=5", "-v", "--wait", "1", "--wait=2"}, with(func(s *sample) { s.Count, s.Loud, s.Wait = 5, true, 2*time.Second })},
	} {
		if got, p, out, err := parseSample(tc.env, tc.args...); err != nil || p.Done || out != "" || len(p.Warnings) > 0 || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%q %q:\ngot  %+v, %+v, %v %s\nwant %+v", tc.env, tc.args, got, p, err, out, tc.want)
		}
	}
}

func TestParseTellsEveryFault(t *testing.T) {
	_, _, _, err := parseSample(Environ{"SAMPLE_WAIT=soon", "SAMPLE_COUNT=hidden by the flag", "SAMPLE_LOUD=perhaps"},
		"--counts=1", "surplus", "-x", "--count", "10", "--size=1", "--rate=nan", "--kind=d", "--label", "novalue", "--hello=maybe", "--packets", "-3", "--typo", "value", "--since=x", "--name")
	want := `--counts: unknown flag; did you mean --count?
unexpected argument "surplus"; see --help
-x: unknown flag; see --help
--typo: unknown flag; see --help
--name: needs a value
--count "10": must be a whole number from 1 to 9
--size "1": must be from 1KiB to 1MiB
--rate "nan": must be a number from 0 to 1000000000000000, such as 20 or 0.5
--kind "d": must be a, b or c
--label "novalue": must be KEY=VALUE
--hello "maybe": must be true or false
--packets "-3": must be a whole number from 0 to 9223372036854775807
--since "x": ` + errDuration.Error() + `
SAMPLE_WAIT "soon": ` + errDuration.Error() + `
SAMPLE_LOUD "perhaps": must be true or false`
	var all *Errors
	if !errors.As(err, &all) || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"--help", "--nope", "--count=x"}} {
		_, p, out, err := parseSample(Environ{"SAMPLE_COUNT=x"}, args...)
		if err != nil || !p.Done {
			t.Fatal(args, p, err)
		}
		flat := strings.Join(strings.Fields(out), " ")
		for _, want := range []string{"Shows.", "How many. [SAMPLE_COUNT, default 3, from 1 to 9]", "How large. [default 64KiB, from 1KiB to 1MiB]", "How many packets. ", "Say hello. [default true]", "Try it."} {
			if !strings.Contains(flat, want) {
				t.Errorf("%q: help lacks %q:\n%s", args, want, out)
			}
		}
	}
	if _, p, out, err := parseSample(nil, "--version"); err != nil || !p.Done || out != "sample "+Version()+"\n" {
		t.Errorf("%+v %v %q", p, err, out)
	}
}

// A program of commands: flags of another command are unknown to the one chosen.
func TestCommands(t *testing.T) {
	type flags struct {
		Loud bool `help:"Loudly."`
		List struct {
			Dir string `help:"Folder." default:"here" env:"THE_DIR"`
		} `cmd:"" help:"List."`
		Drop struct {
			Dir   string   `help:"Folder." default:"here" env:"THE_DIR"`
			Files []string `arg:"" optional:"" help:"Files."`
		} `cmd:"" help:"Drop."`
	}
	var f flags
	p, err := Parse(Program{Name: "x"}, &f, []string{"drop", "--", "a", "--b"}, Environ{"THE_DIR=there"}, &bytes.Buffer{})
	if err != nil || p.Command != "drop" || f.Drop.Dir != "there" || !slices.Equal(f.Drop.Files, []string{"a", "--b"}) {
		t.Errorf("%+v %+v %v", p, f, err)
	}
	for _, args := range [][]string{{"bury"}, {}, {"list", "surplus"}} {
		if _, err := Parse(Program{Name: "x"}, &flags{}, args, nil, &bytes.Buffer{}); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestUnknownVariables(t *testing.T) {
	known := []string{"LISTEN", "HTTP_LISTEN", "MAX_QUEUE_SIZE", "MAX_RETRIES", "MAX_BODY_BYTES", "SPILL", "DEAD_LETTER_DIR", "MEMORY_LIMIT", "LOG_LEVEL"}
	for name, want := range map[string]string{
		"LISTN":             "", // too short to judge: it might be anybody's
		"MAX_QUEUE_SIZ":     "did you mean MAX_QUEUE_SIZE?",
		"DEAD_LETER_DIR":    "did you mean DEAD_LETTER_DIR?",
		"HTTP_LISTE":        "did you mean HTTP_LISTEN?",
		"MAX_SPEED":         "unknown",
		"DEAD_LETTER_LIMIT": "unknown",
		"SLUICE_LISTEN":     "unknown",
	} {
		got := Environ{name + "=1"}.Unknown(known)
		if want == "" && len(got) != 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], name) || !strings.Contains(got[0], want)) {
			t.Errorf("%s: %q", name, got)
		}
	}
	innocent := Environ{"PATH=/bin", "HOME=/", "SHELL=sh", "LISTEN_FDS=1", "LISTEN_PID=1", "HTTP_PROXY=x", "MEMORY_PRESSURE_WATCH=x", "LOG_DIR=x", "LISTEN=:1", "MAX_RETRIES=",
		"SLUICE_SERVICE_HOST=10.0.0.1", "SLUICE_SERVICE_PORT=9000", "SLUICE_SERVICE_PORT_AGENTS=9000", "SLUICE_PORT=tcp://10.0.0.1:9000", "SLUICE_PORT_9000_TCP_ADDR=10.0.0.1"}
	if got := innocent.Unknown(known); len(got) != 0 {
		t.Errorf("%q", got)
	}
}
