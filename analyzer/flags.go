package main

import (
	"io"
	"time"

	"sluice/analyzer/node"
	"sluice/internal/cli"
)

// flags is the command line; cli.Parse reads it.
type flags struct {
	Name      string          `help:"Name told to distributors and shown in /stats." default:"analyzer" env:"ANALYZER_NAME"`
	Listen    string          `help:"TCP address for packets." default:":9001" env:"LISTEN" placeholder:"ADDR"`
	HTTP      string          `help:"TCP address for GET /stats, /metrics and /health." name:"http" default:":8001" env:"HTTP_LISTEN" placeholder:"ADDR"`
	Receipts  string          `help:"Append each packet_id to this file, one a line, before it is acknowledged." env:"RECEIPTS" placeholder:"FILE"`
	Output    string          `help:"Append each message to this file as a line of JSON, before its packet is acknowledged." env:"OUTPUT" placeholder:"FILE"`
	Discard   bool            `help:"Acknowledge without looking into packets: to measure a distributor alone." env:"DISCARD"`
	Delay     time.Duration   `help:"Hold each ACK back this long: bare seconds (5, 0.5) or 500ms. NACKs and PONGs are not held back." default:"0" env:"ACK_DELAY" placeholder:"D"`
	MaxFrame  cli.Bytes       `min:"4KiB" max:"256MiB" help:"Largest frame: bytes, or 512KiB, 1MiB. Also what a compressed packet may inflate to." default:"1MiB" env:"MAX_FRAME_BYTES" placeholder:"SIZE"`
	LogFormat string          `choice:"text,json" help:"text or json." default:"text" env:"LOG_FORMAT" placeholder:"FORMAT"`
	LogLevel  string          `choice:"debug,info,warn,error" help:"debug, info, warn or error." default:"info" env:"LOG_LEVEL" placeholder:"LEVEL"`
	Version   cli.VersionFlag `help:"Print the version and exit."`
}

const description = `Receives log packets, counts what is in them (levels, sources, agents, rates, duplicates), and acknowledges each after it was handled and its receipt or output was handed to the kernel.

Behind a distributor, or for agents directly; the protocol is the same:

  analyzer --name analyzer-1 --listen :9001 --http :8001
  curl -s localhost:8001/stats
  analyzer health         ask the one that runs with the same flags and environment: 0 healthy, 1 not, and why`

// parse reads the command line and the environment.
func parse(args []string, env cli.Environ, stdout io.Writer) (f flags, parsed cli.Parsed, err error) {
	parsed, err = cli.Parse(cli.Program{Name: "analyzer", Description: description}, &f, args, env, stdout)
	return f, parsed, err
}

// config judges all values together; its error joins every fault.
func (f flags) config() (node.Config, error) {
	cfg := node.Config{Name: f.Name, Listen: f.Listen, HTTP: f.HTTP, Receipts: f.Receipts, Output: f.Output,
		Discard: f.Discard, Delay: f.Delay, MaxFrame: int(f.MaxFrame)}
	return cfg, cfg.Check()
}
