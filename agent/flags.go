package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"sluice/agent/node"
	"sluice/agent/ship"
	"sluice/internal/cli"
	"sluice/protocol"
)

// flags takes every value as text: kong would stop at the first that it cannot
// read, and we tell of all. Precedence is flag, then environment, then default.
type flags struct {
	Addr        []string   `help:"Distributors, tried in turn from a random one on; repeat or separate by commas." default:"127.0.0.1:9000" env:"AGENT_ADDR" placeholder:"HOST:PORT"`
	AgentID     string     `help:"Name of this agent, part of every packet_id. Default: the host name." env:"AGENT_ID" placeholder:"ID"`
	State       string     `help:"Folder that remembers what was delivered; created if absent, locked. Without it a restart begins anew." env:"AGENT_STATE" placeholder:"FOLDER"`
	File        []string   `help:"File or glob to ship; repeatable. Quote it, so that the agent expands it and sees files that appear later." env:"AGENT_FILE" sep:"none" placeholder:"GLOB"`
	Exclude     []string   `help:"Glob of base names or whole paths to leave out; repeatable. Compressed files (.gz, .zst, .xz, .bz2, .lz4, .zip) always are." env:"AGENT_EXCLUDE" sep:"none" placeholder:"GLOB"`
	StartAt     string     `help:"Where files of the very first start begin: beginning or end. Files that appear later begin at their beginning." default:"beginning" env:"AGENT_START_AT" placeholder:"WHERE"`
	Once        boolOrText `help:"Ship what is there and exit: 0 only if all of it was delivered." env:"AGENT_ONCE"`
	Stdin       boolOrText `help:"Ship standard input too. What was read and not delivered when the agent is killed is lost." env:"AGENT_STDIN"`
	Listen      []string   `help:"Take newline-delimited text on tcp://HOST:PORT or unix:///PATH; repeatable. Same guarantee as --stdin." env:"AGENT_LISTEN" placeholder:"URL"`
	Timezone    string     `help:"Zone of times that name none: Local, UTC, Europe/Berlin." default:"Local" env:"AGENT_TIMEZONE" placeholder:"ZONE"`
	Now         string     `help:"A time without a year is in the latest year in which it is not after this time. Default: the file's modification time." env:"AGENT_NOW" placeholder:"RFC3339"`
	Label       []string   `help:"Metadata of every record; repeatable." env:"AGENT_LABEL" placeholder:"KEY=VALUE"`
	Multiline   string     `help:"Regular expression (RE2) of the first line of a record; lines that do not match belong to the record before." env:"AGENT_MULTILINE" placeholder:"PATTERN"`
	MultilineTO string     `name:"multiline-timeout" help:"How long the last record waits for more lines." default:"1" env:"AGENT_MULTILINE_TIMEOUT" placeholder:"TIME"`
	MaxLine     string     `help:"Longer records are split, and the pieces marked. Default: 64KiB or --batch-bytes." env:"AGENT_MAX_LINE" placeholder:"SIZE"`
	BatchBytes  string     `help:"Raw bytes of a packet." default:"64KiB" env:"AGENT_BATCH_BYTES" placeholder:"SIZE"`
	BatchLines  string     `help:"Lines of a packet." default:"1000" env:"AGENT_BATCH_LINES" placeholder:"N"`
	Linger      string     `help:"How long a packet that is not full waits for more." default:"200ms" env:"AGENT_LINGER" placeholder:"TIME"`
	Compress    string     `help:"Compress packets: none, zstd, s2 or gzip." default:"none" env:"AGENT_COMPRESS" placeholder:"KIND"`
	Token       string     `help:"Secret for the HELLO." env:"AGENT_TOKEN"`
	MaxAge      string     `name:"max-connection-age" help:"Move to the next distributor after so long, so that a group stays balanced; 0: never." default:"0" env:"AGENT_MAX_CONNECTION_AGE" placeholder:"TIME"`
	Memory      string     `help:"Memory for what is on its way." default:"64MiB" env:"AGENT_MEMORY" placeholder:"SIZE"`
	ReadAhead   string     `help:"Bytes of one file that may be without an answer." default:"8MiB" env:"AGENT_READ_AHEAD" placeholder:"SIZE"`
	RateLimit   string     `help:"Raw bytes per second of all inputs; 0: no limit." default:"0" env:"AGENT_RATE_LIMIT" placeholder:"SIZE"`
	Stall       string     `name:"stall-timeout" help:"--once gives up if nothing is delivered for so long; 0: never." default:"60" env:"AGENT_STALL_TIMEOUT" placeholder:"TIME"`
	HTTP        string     `name:"http" help:"Address of GET /health, /stats and /metrics. Default: none." env:"AGENT_HTTP" placeholder:"ADDR"`
	Progress    string     `help:"Progress bar of --once on standard error: auto (on a terminal), always or never." default:"auto" env:"AGENT_PROGRESS" placeholder:"WHEN"`
	LogFormat   string     `help:"text or json." default:"text" env:"LOG_FORMAT" placeholder:"FORMAT"`
	LogLevel    string     `help:"debug, info, warn or error." default:"info" env:"LOG_LEVEL" placeholder:"LEVEL"`
	Version     bool       `help:"Show the version and exit."`
}

const description = `Ships log files, standard input and sockets to a Sluice distributor (or an analyzer), and loses no line of a file: offsets move only on acknowledgement, and survive crashes and rotations.

  agent --once --file '/var/log/*.log'
  agent --state /var/lib/agent --file '/var/log/app.log*' --http 127.0.0.1:8010
  journalctl -f -o json | agent --stdin
  agent parse FILE...     what it would make of a file; agent parse --help
  agent health            ask the one that runs with the same flags and environment: 0 healthy, 1 not, and why

TIME is seconds or has a unit (5, 0.5, 500ms, 2m); SIZE is bytes or has one (200, 64KiB, 1MiB). SIGHUP looks for new files, SIGTERM drains. Exit codes: 0; 1 not all was delivered, or something cannot be opened; 78 wrong flags.`

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
	parser, err := kong.New(&f, kong.Name("agent"), kong.Description(description),
		kong.Writers(stdout, stdout), kong.Exit(func(int) { helped = true }))
	if err != nil {
		return f, false, err
	}
	known, faults := sift(parser.Model.Flags, args)
	_, err = parser.Parse(known)
	if f.Version && !helped {
		fmt.Fprintln(stdout, "agent", cli.Version())
	}
	return f, helped || f.Version, errors.Join(faults, err)
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
func (f flags) config(logTo io.Writer) (node.Config, error) {
	c := node.Default()
	r := reader{}
	c.Addrs, c.Files, c.Exclude, c.Listen = f.Addr, f.File, f.Exclude, f.Listen
	c.State, c.Token, c.HTTP = f.State, f.Token, f.HTTP
	c.Host, _ = os.Hostname()
	if c.Agent = f.AgentID; c.Agent == "" {
		c.Agent = c.Host
	}
	c.FromEnd = r.choice("start-at", f.StartAt, "beginning", "end") == "end"
	c.Once, c.Stdin = r.yes("once", string(f.Once)), r.yes("stdin", string(f.Stdin))
	c.Hold, c.Linger = r.time("multiline-timeout", f.MultilineTO), r.time("linger", f.Linger)
	c.MaxAge, c.StallOut = r.time("max-connection-age", f.MaxAge), r.time("stall-timeout", f.Stall)
	c.Batch, c.MaxLines = r.size("batch-bytes", f.BatchBytes), r.number("batch-lines", f.BatchLines)
	if c.MaxLine = min(64<<10, c.Batch); f.MaxLine != "" {
		c.MaxLine = r.size("max-line", f.MaxLine)
	}
	c.Memory, c.ReadAhead, c.RateLimit = r.size("memory", f.Memory), r.size("read-ahead", f.ReadAhead), r.size("rate-limit", f.RateLimit)
	r.choice("progress", f.Progress, "auto", "always", "never")
	var err error
	if c.Compression, err = protocol.ParseCompression(f.Compress); err != nil {
		r.fault("compress", f.Compress, "none, zstd, s2 or gzip")
	}
	if c.Location, err = time.LoadLocation(f.Timezone); err != nil {
		r.fault("timezone", f.Timezone, "Local, UTC or a name such as Europe/Berlin")
	}
	if f.Now != "" {
		if c.Now, err = time.Parse(time.RFC3339, f.Now); err != nil {
			r.fault("now", f.Now, "a time such as 2006-01-02T15:04:05Z")
		}
	}
	if f.Multiline != "" {
		if c.Multiline, err = regexp.Compile(f.Multiline); err != nil {
			r.fault("multiline", f.Multiline, "a regular expression: "+err.Error())
		}
	}
	for _, l := range f.Label {
		key, value, _ := strings.Cut(l, "=")
		c.Labels = append(c.Labels, ship.Pair{Key: key, Value: value})
	}
	for _, o := range [][2]string{{f.LogFormat, ""}, {"", f.LogLevel}} {
		if _, err := cli.Logger(o[0], o[1], logTo); err != nil {
			r.faults = append(r.faults, fmt.Errorf("--%w", err))
		}
	}
	// What could not be read was told already, and is left out of the check.
	if err := c.Check(); err != nil {
		r.faults = append(r.faults, r.others(err)...)
	}
	c.Log, _ = cli.Logger(f.LogFormat, f.LogLevel, logTo)
	return c, errors.Join(r.faults...)
}

// envOf is the environment variable of a flag, as its tag says.
func envOf(name string) string {
	t := reflect.TypeFor[flags]()
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		words := regexp.MustCompile(`([a-z0-9])([A-Z])`).ReplaceAllString(t.Field(i).Name, "$1-$2")
		if tag.Get("name") == name || tag.Get("name") == "" && strings.EqualFold(words, name) {
			return tag.Get("env")
		}
	}
	return ""
}
