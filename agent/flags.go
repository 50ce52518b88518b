package main

import (
	"errors"
	"io"
	"os"
	"regexp"
	"time"

	"sluice/agent/node"
	"sluice/agent/ship"
	"sluice/internal/cli"
	"sluice/protocol"
)

// flags is the command line; cli.Parse reads it.
type flags struct {
	Addr        []string        `help:"Distributors, tried in turn from a random one on; repeat or separate by commas." default:"127.0.0.1:9000" env:"AGENT_ADDR" placeholder:"HOST:PORT"`
	AgentID     string          `help:"Name of this agent, part of every packet_id. Default: the host name." env:"AGENT_ID" placeholder:"ID"`
	State       string          `help:"Folder that remembers what was delivered; created if absent, locked. Without it a restart begins anew." env:"AGENT_STATE" placeholder:"FOLDER"`
	File        []string        `help:"File or glob to ship; repeatable. Quote it, so that the agent expands it and sees files that appear later." env:"AGENT_FILE" sep:"none" placeholder:"GLOB"`
	Exclude     []string        `help:"Glob of base names or whole paths to leave out; repeatable. Compressed files (.gz, .zst, .xz, .bz2, .lz4, .zip) always are." env:"AGENT_EXCLUDE" sep:"none" placeholder:"GLOB"`
	StartAt     string          `choice:"beginning,end" help:"Where files of the very first start begin: beginning or end. Files that appear later begin at their beginning." default:"beginning" env:"AGENT_START_AT" placeholder:"WHERE"`
	Once        bool            `help:"Ship what is there and exit: 0 only if all of it was delivered." env:"AGENT_ONCE"`
	Stdin       bool            `help:"Ship standard input too. What was read and not delivered when the agent is killed is lost." env:"AGENT_STDIN"`
	Listen      []string        `help:"Take newline-delimited text on tcp://HOST:PORT or unix:///PATH; repeatable. Same guarantee as --stdin." env:"AGENT_LISTEN" placeholder:"URL"`
	Timezone    string          `help:"Zone of times that name none: Local, UTC, Europe/Berlin." default:"Local" env:"AGENT_TIMEZONE" placeholder:"ZONE"`
	Now         string          `help:"A time without a year is in the latest year in which it is not after this time. Default: the file's modification time." env:"AGENT_NOW" placeholder:"RFC3339"`
	Label       []cli.Pair      `help:"Metadata of every record; repeatable." env:"AGENT_LABEL" placeholder:"KEY=VALUE"`
	Multiline   string          `help:"Regular expression (RE2) of the first line of a record; lines that do not match belong to the record before." env:"AGENT_MULTILINE" placeholder:"PATTERN"`
	MultilineTO time.Duration   `name:"multiline-timeout" help:"How long the last record waits for more lines." default:"1" env:"AGENT_MULTILINE_TIMEOUT" placeholder:"TIME"`
	MaxLine     cli.Bytes       `help:"Longer records are split, and the pieces marked. Default: 64KiB or --batch-bytes." env:"AGENT_MAX_LINE" placeholder:"SIZE"`
	BatchBytes  cli.Bytes       `help:"Raw bytes of a packet." default:"64KiB" env:"AGENT_BATCH_BYTES" placeholder:"SIZE"`
	BatchLines  int             `help:"Lines of a packet." default:"1000" env:"AGENT_BATCH_LINES" placeholder:"N"`
	Linger      time.Duration   `help:"How long a packet that is not full waits for more." default:"200ms" env:"AGENT_LINGER" placeholder:"TIME"`
	Compress    string          `choice:"none,zstd,s2,gzip" help:"Compress packets: none, zstd, s2 or gzip." default:"none" env:"AGENT_COMPRESS" placeholder:"KIND"`
	Token       string          `help:"Secret for the HELLO." env:"AGENT_TOKEN"`
	MaxAge      time.Duration   `name:"max-connection-age" help:"Move to the next distributor after so long, so that a group stays balanced; 0: never." default:"0" env:"AGENT_MAX_CONNECTION_AGE" placeholder:"TIME"`
	Memory      cli.Bytes       `help:"Memory for what is on its way." default:"64MiB" env:"AGENT_MEMORY" placeholder:"SIZE"`
	ReadAhead   cli.Bytes       `help:"Bytes of one file that may be without an answer." default:"8MiB" env:"AGENT_READ_AHEAD" placeholder:"SIZE"`
	RateLimit   cli.Bytes       `help:"Raw bytes per second of all inputs; 0: no limit." default:"0" env:"AGENT_RATE_LIMIT" placeholder:"SIZE"`
	Stall       time.Duration   `name:"stall-timeout" help:"--once gives up if nothing is delivered for so long; 0: never." default:"60" env:"AGENT_STALL_TIMEOUT" placeholder:"TIME"`
	HTTP        string          `name:"http" help:"Address of GET /health, /stats and /metrics. Default: none." env:"AGENT_HTTP" placeholder:"ADDR"`
	Progress    string          `choice:"auto,always,never" help:"Progress bar of --once on standard error: auto (on a terminal), always or never." default:"auto" env:"AGENT_PROGRESS" placeholder:"WHEN"`
	LogFormat   string          `choice:"text,json" help:"text or json." default:"text" env:"LOG_FORMAT" placeholder:"FORMAT"`
	LogLevel    string          `choice:"debug,info,warn,error" help:"debug, info, warn or error." default:"info" env:"LOG_LEVEL" placeholder:"LEVEL"`
	Version     cli.VersionFlag `help:"Print the version and exit."`
}

const description = `Ships log files, standard input and sockets to a Sluice distributor (or an analyzer), and loses no line of a file: offsets move only on acknowledgement, and survive crashes and rotations.

  agent --once --file '/var/log/*.log'
  agent --state /var/lib/agent --file '/var/log/app.log*' --http 127.0.0.1:8010
  journalctl -f -o json | agent --stdin
  agent parse FILE...     what it would make of a file; agent parse --help
  agent health            ask the one that runs with the same flags and environment: 0 healthy, 1 not, and why

TIME is seconds or has a unit (5, 0.5, 500ms, 2m); SIZE is bytes or has one (200, 64KiB, 1MiB). SIGHUP looks for new files, SIGTERM drains. Exit codes: 0; 1 not all was delivered, or something cannot be opened; 78 wrong flags.`

// parse reads the command line and the environment.
func parse(args []string, env cli.Environ, stdout io.Writer) (f flags, parsed cli.Parsed, err error) {
	parsed, err = cli.Parse(cli.Program{Name: "agent", Description: description}, &f, args, env, stdout)
	return f, parsed, err
}

// config judges all values that Parse could read; its error joins every fault.
func (f *flags) config(parsed cli.Parsed) (node.Config, error) {
	c := node.Default()
	c.Addrs, c.Files, c.Exclude, c.Listen = f.Addr, f.File, f.Exclude, f.Listen
	c.State, c.Token, c.HTTP = f.State, f.Token, f.HTTP
	c.Host, _ = os.Hostname()
	if c.Agent = f.AgentID; c.Agent == "" {
		c.Agent = c.Host
	}
	c.FromEnd, c.Once, c.Stdin = f.StartAt == "end", f.Once, f.Stdin
	c.Hold, c.Linger, c.MaxAge, c.StallOut = f.MultilineTO, f.Linger, f.MaxAge, f.Stall
	c.Batch, c.MaxLines = int(f.BatchBytes), f.BatchLines
	if c.MaxLine = int(f.MaxLine); c.MaxLine == 0 {
		c.MaxLine = min(64<<10, c.Batch)
	}
	c.Memory, c.ReadAhead, c.RateLimit = int(f.Memory), int(f.ReadAhead), int(f.RateLimit)
	for _, p := range f.Label {
		if p.Key != "" { // what could not be read was told already
			c.Labels = append(c.Labels, ship.Pair(p))
		}
	}
	var faults []error
	wrong := func(err error, flag, value, want string) {
		if err != nil {
			faults = append(faults, parsed.Fault(flag, value, want))
		}
	}
	var err error
	c.Compression, err = protocol.ParseCompression(f.Compress)
	wrong(err, "compress", f.Compress, "must be none, zstd, s2 or gzip")
	c.Location, err = time.LoadLocation(f.Timezone)
	wrong(err, "timezone", f.Timezone, "must be Local, UTC or a name such as Europe/Berlin")
	if f.Now != "" {
		c.Now, err = time.Parse(time.RFC3339, f.Now)
		wrong(err, "now", f.Now, "must be a time such as 2006-01-02T15:04:05Z")
	}
	if f.Multiline != "" {
		if c.Multiline, err = regexp.Compile(f.Multiline); err != nil {
			wrong(err, "multiline", f.Multiline, "must be a regular expression: "+err.Error())
		}
	}
	return c, errors.Join(append(faults, c.Check())...)
}
