package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"sluice/internal/cli"
	"sluice/protocol"
)

// options are what the command line and the environment ask for.
type options struct {
	Connections int           `short:"c" default:"10" min:"1" max:"65536" env:"LOADGEN_CONNECTIONS" placeholder:"N" help:"Connections, each with a sender of its own."`
	Packets     uint64        `short:"n" env:"LOADGEN_PACKETS" placeholder:"N" help:"Packets to send in all. Without -n and -d: 2000, or every line of --from once."`
	Duration    time.Duration `short:"d" env:"LOADGEN_DURATION" placeholder:"TIME" help:"How long to send. With -n too, whichever ends first."`
	Rate        float64       `short:"r" env:"LOADGEN_RATE" placeholder:"N" help:"Packets per second in all, sent at planned times whatever the answers do. Default: as fast as answers allow."`
	Addr        []string      `env:"LOADGEN_ADDR" placeholder:"HOST:PORT" help:"Where to send; with several, the connections spread over them. Default: 127.0.0.1:9000, or :8000 for http."`
	Proto       string        `choice:"binary,http" default:"binary" env:"LOADGEN_PROTO" help:"binary: frames, acknowledged by an analyzer. http: POST /ingest with JSON, where a 202 counts as delivered."`
	Messages    int           `default:"1" min:"1" env:"LOADGEN_MESSAGES" placeholder:"N" help:"Log messages per packet."`
	Size        cli.Bytes     `max:"1GiB" env:"LOADGEN_SIZE" placeholder:"BYTES" help:"Bytes of a packet's body before compression. Default: 200 with one message."`
	Compress    string        `choice:"none,zstd,s2,gzip" default:"none" env:"LOADGEN_COMPRESS" help:"Compress each packet: none, zstd, s2 or gzip."`
	From        []string      `env:"LOADGEN_FROM" sep:"none" placeholder:"GLOB" help:"Send lines of these files as messages; may be repeated."`
	Storm       int           `max:"65536" env:"LOADGEN_STORM" placeholder:"N" help:"Instead: N agents connect and send one packet each, are all cut, and are back within a second for one more. -d limits each round (30 s)."`
	Rude        bool          `env:"LOADGEN_RUDE" help:"Instead: -c senders that ignore the credit and never read, for -d (10 s), at most -r packets/s. What the server closes connects again."`
	Slowloris   bool          `env:"LOADGEN_SLOWLORIS" help:"Instead: -c connections that send a packet one byte every 2 s, until the server has closed all, or for -d (60 s)."`
	JSON        string        `name:"json" env:"LOADGEN_JSON" placeholder:"FILE" help:"Write the result as JSON too; - is standard output. Schema: loadgen/README.md."`

	Hello          bool          `default:"true" negatable:"" env:"LOADGEN_HELLO" help:"Begin connections with HELLO, as agents that stay do."`
	Token          string        `env:"LOADGEN_TOKEN" help:"Secret for the HELLO."`
	ConnectTimeout time.Duration `default:"5" min:"1ms" env:"LOADGEN_CONNECT_TIMEOUT" placeholder:"TIME" help:"Give up if nobody listens at any address for so long."`
	StallTimeout   time.Duration `default:"30" min:"1ms" env:"LOADGEN_STALL_TIMEOUT" placeholder:"TIME" help:"Give up if no answer arrives for so long."`

	Progress  string          `choice:"auto,always,never" default:"auto" env:"LOADGEN_PROGRESS" help:"Progress bar on standard error: auto (on a terminal), always or never."`
	LogFormat string          `choice:"text,json" default:"text" env:"LOG_FORMAT" help:"text or json."`
	LogLevel  string          `choice:"debug,info,warn,error" default:"warn" env:"LOG_LEVEL" help:"debug, info, warn or error."`
	Version   cli.VersionFlag `help:"Print the version and exit."`
}

// notes follow the flags in --help.
const notes = `
Examples:

    loadgen -c 10 -n 2000                      2,000 packets over 10 connections
    loadgen -c 10 -d 30s                       as many as possible in 30 s
    loadgen -r 50000 -d 1m                     50,000 packets/s; latency counts from the planned time
    loadgen --proto http -c 50 -n 10000        the same packets as JSON to /ingest
    loadgen --from '/var/log/*.log'            every line of these files, once
    loadgen --messages 100 --compress zstd     larger packets, compressed
    loadgen -n 1000000 --json result.json      for scripts
    loadgen --storm 5000                       5,000 agents come back within a second
    loadgen --rude -c 10 -r 100000 -d 30s      10 senders without manners, beside a good one
    loadgen --slowloris -c 200                 200 connections that never finish a frame

Each packet has a packet_id of its own, also over several runs. Latency is measured from the hand-over to the answer, or, with -r, from the planned time of sending, so that a stalled server does not hide its own delay. TIME is seconds or has a unit: 5, 0.5, 500ms, 2m. Each flag may also be given by its environment variable.

Exit codes: 0 every packet was delivered (--storm: every agent was served in both rounds; --rude: something was written; --slowloris: every connection was opened); 1 not so, or nobody could be reached; 78 wrong flags, or more connections than this process may open.
`

// parseOptions reads flags and environment, and judges the options together.
func parseOptions(args []string, env cli.Environ, stdout io.Writer) (*options, cli.Parsed, error) {
	opts := &options{}
	parsed, err := cli.Parse(cli.Program{
		Name:        "loadgen",
		Description: "Send log packets to a Sluice distributor or analyzer and report what became of each.",
		Notes:       notes,
	}, opts, args, env, stdout)
	if parsed.Done {
		return opts, parsed, err
	}
	return opts, parsed, cli.Join(err, opts.complete())
}

// complete fills in the defaults that depend on other options, and names all
// values that cannot work.
func (o *options) complete() error {
	if len(o.Addr) == 0 {
		o.Addr = []string{"127.0.0.1:9000"}
		if o.Proto == "http" {
			o.Addr = []string{"127.0.0.1:8000"}
		}
	}
	for i, a := range o.Addr {
		for _, scheme := range []string{"tcp://", "http://"} {
			a = strings.TrimPrefix(a, scheme)
		}
		o.Addr[i] = strings.TrimSuffix(a, "/")
	}
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(len(o.From) > 0 && o.Size > 0, "--size and --from: lines are as long as they are; give one of the two")
	fault(o.Compress != "none" && o.Proto == "binary" && !o.Hello, "--compress needs HELLO: leave out --no-hello")
	return errors.Join(append(faults, o.completeMode())...)
}

func (o *options) compression() protocol.Compression {
	c, err := protocol.ParseCompression(o.Compress)
	if err != nil {
		panic(err) // the flag's choices exist
	}
	return c
}
