package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"sluice/analyzer/node"
	"sluice/internal/cli"

	"github.com/alecthomas/kong"
)

// flags takes every value as text: kong would stop at the first that it cannot
// read, and we tell of all. Precedence is flag, then environment, then default.
type flags struct {
	Name      string     `help:"Name told to distributors and shown in /stats." default:"analyzer" env:"ANALYZER_NAME"`
	Listen    string     `help:"TCP address for packets." default:":9001" env:"LISTEN" placeholder:"ADDR"`
	HTTP      string     `help:"TCP address for GET /stats, /metrics and /health." name:"http" default:":8001" env:"HTTP_LISTEN" placeholder:"ADDR"`
	Receipts  string     `help:"Append each packet_id to this file, one a line, before it is acknowledged." env:"RECEIPTS" placeholder:"FILE"`
	Output    string     `help:"Append each message to this file as a line of JSON, before its packet is acknowledged." env:"OUTPUT" placeholder:"FILE"`
	Discard   boolOrText `help:"Acknowledge without looking into packets: to measure a distributor alone." env:"DISCARD"`
	Delay     string     `help:"Hold each ACK back this long: bare seconds (5, 0.5) or 500ms. NACKs and PONGs are not held back." default:"0" env:"ACK_DELAY" placeholder:"D"`
	MaxFrame  string     `help:"Largest frame: bytes, or 512KiB, 1MiB. Also what a compressed packet may inflate to." default:"1MiB" env:"MAX_FRAME_BYTES" placeholder:"SIZE"`
	LogFormat string     `help:"text or json." default:"text" env:"LOG_FORMAT" placeholder:"FORMAT"`
	LogLevel  string     `help:"debug, info, warn or error." default:"info" env:"LOG_LEVEL" placeholder:"LEVEL"`
	Version   bool       `help:"Show the version and exit."`
}

const description = `Receives log packets, counts what is in them (levels, sources, agents, rates, duplicates), and acknowledges each after it was handled and its receipt or output was handed to the kernel.

Behind a distributor, or for agents directly; the protocol is the same:

  analyzer --name analyzer-1 --listen :9001 --http :8001
  curl -s localhost:8001/stats
  analyzer health         ask the one that runs with the same flags and environment: 0 healthy, 1 not, and why`

// boolOrText is a switch whose value, if it is given one, is judged later.
type boolOrText string

// IsBool lets the flag stand without a value.
func (b *boolOrText) IsBool() bool { return true }

// Decode keeps the text; a switch alone means true.
func (b *boolOrText) Decode(ctx *kong.DecodeContext) error {
	*b = "true"
	if t := ctx.Scan.Peek(); t.Type == kong.FlagValueToken {
		*b = boolOrText(fmt.Sprint(ctx.Scan.Pop().Value))
	}
	return nil
}

// parse reads the command line and the environment. done means that help or
// the version was printed.
func parse(args []string, stdout io.Writer) (f flags, done bool, err error) {
	helped := false
	parser, err := kong.New(&f, kong.Name("analyzer"), kong.Description(description),
		kong.Writers(stdout, stdout), kong.Exit(func(int) { helped = true }))
	if err != nil {
		return f, false, err
	}
	known, faults := sift(parser.Model.Flags, args)
	_, err = parser.Parse(known)
	err = errors.Join(faults, err)
	if f.Version && !helped {
		fmt.Fprintln(stdout, "analyzer", cli.Version())
	}
	return f, helped || f.Version, err
}

// sift takes out what is no flag of ours, each a fault: kong would stop at the
// first, and judge nothing else.
func sift(flags []*kong.Flag, args []string) (known []string, faults error) {
	takesValue := map[string]bool{"-h": false}
	for _, f := range flags {
		takesValue["--"+f.Name] = !f.IsBool()
	}
	for i := 0; i < len(args); i++ {
		name, _, joined := strings.Cut(args[i], "=")
		value, ok := takesValue[name]
		if !ok {
			faults = errors.Join(faults, fmt.Errorf("%s: there is no such flag; see --help", name))
			continue
		}
		known = append(known, args[i])
		if value && !joined && i+1 < len(args) {
			i++
			known = append(known, args[i])
		}
	}
	return known, faults
}

// config judges all values; its error joins every fault.
func (f flags) config(logTo io.Writer) (node.Config, *slog.Logger, error) {
	cfg, err := node.Parse(node.Texts{Name: f.Name, Listen: f.Listen, HTTP: f.HTTP, Receipts: f.Receipts,
		Output: f.Output, Discard: string(f.Discard), Delay: f.Delay, MaxFrame: f.MaxFrame})
	if _, formatErr := cli.Logger(f.LogFormat, "", logTo); formatErr != nil {
		err = errors.Join(err, fmt.Errorf("--log-format (LOG_FORMAT): %w", formatErr))
	}
	if _, levelErr := cli.Logger("", f.LogLevel, logTo); levelErr != nil {
		err = errors.Join(err, fmt.Errorf("--log-level (LOG_LEVEL): %w", levelErr))
	}
	if err != nil {
		return cfg, nil, err
	}
	log, err := cli.Logger(f.LogFormat, f.LogLevel, logTo)
	return cfg, log, err
}
