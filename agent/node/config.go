package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sluice/agent/ship"
	"sluice/protocol"
)

// Config says what one agent is. Start from Default.
type Config struct {
	Addrs       []string
	Agent       string
	Token       string
	Compression protocol.Compression
	MaxAge      time.Duration // of a connection; 0: any

	Files    []string
	Exclude  []string
	FromEnd  bool
	Once     bool
	Stdin    bool
	Listen   []string // tcp://host:port or unix:///path
	State    string   // folder; empty: nothing is remembered
	StallOut time.Duration

	Multiline *regexp.Regexp
	Hold      time.Duration
	MaxLine   int
	Location  *time.Location // nil: that of the machine
	Now       time.Time
	Labels    []ship.Pair
	Host      string

	Batch     int
	MaxLines  int
	Linger    time.Duration
	Memory    int
	ReadAhead int
	RateLimit int // bytes per second; 0: none

	HTTP string // address of /health and /stats; empty: none
	Log  *slog.Logger
}

// Default is an agent without inputs.
func Default() Config {
	return Config{
		Addrs: []string{"127.0.0.1:9000"}, StallOut: time.Minute, Hold: time.Second, MaxLine: 64 << 10,
		Batch: 64 << 10, MaxLines: 1000, Linger: 200 * time.Millisecond, Memory: 64 << 20, ReadAhead: 8 << 20,
	}
}

// Limits of what can be set. A packet of largestBatch raw bytes stays below the
// smallest frame limit that receivers have by default (1 MiB), whatever is in it:
// invalid UTF-8 takes four times its size, and each record up to recordOverhead
// (its keys, time and level, and a path of usual length) and the labels. Should
// that not be enough, the packet is refused and made smaller.
const (
	smallestBatch  = 4 << 10
	largestBatch   = 128 << 10
	smallestLine   = 256
	smallestMemory = 8 << 20
	largestLabels  = 4 << 10
	longestAgent   = 128
	overheadBudget = 384 << 10
	recordOverhead = 256
)

// Check returns all faults at once, in the words of the flags; nil if there is
// none.
func (c *Config) Check() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(len(c.Addrs) == 0, "--addr (AGENT_ADDR) is empty: want HOST:PORT")
	for _, a := range c.Addrs {
		fault(!validAddress(a), "--addr (AGENT_ADDR) %q: want HOST:PORT", a)
	}
	fault(c.Agent == "" || len(c.Agent) > longestAgent || strings.ContainsAny(c.Agent, "/\n\r"),
		"--agent-id (AGENT_ID) %q: want 1 to %d bytes without a slash", c.Agent, longestAgent)
	fault(len(c.Files) == 0 && !c.Stdin && len(c.Listen) == 0, "nothing to ship: give --file (AGENT_FILE), --stdin or --listen")
	for _, p := range append(append([]string(nil), c.Files...), c.Exclude...) {
		_, err := filepath.Match(p, "x")
		fault(err != nil || p == "", "--file or --exclude %q: the pattern cannot be read", p)
	}
	for _, l := range c.Listen {
		network, where, _ := strings.Cut(l, "://")
		fault(network != "unix" && network != "tcp" || where == "" || network == "tcp" && !validAddress(where),
			"--listen (AGENT_LISTEN) %q: want tcp://HOST:PORT or unix:///PATH", l)
	}
	fault(c.Once && len(c.Listen) > 0, "--once and --listen: a socket has no end")
	fault(c.HTTP != "" && !validAddress(c.HTTP), "--http (AGENT_HTTP) %q: want HOST:PORT or :PORT", c.HTTP)
	fault(c.Batch < smallestBatch || c.Batch > largestBatch, "--batch-bytes (AGENT_BATCH_BYTES) is %d, want 4KiB to 128KiB", c.Batch)
	fault(c.MaxLine < smallestLine || c.MaxLine > c.Batch, "--max-line (AGENT_MAX_LINE) is %d bytes, want 256 to --batch-bytes, which is %d", c.MaxLine, c.Batch)
	fault(c.MaxLines < 1, "--batch-lines (AGENT_BATCH_LINES) is %d, want at least 1", c.MaxLines)
	fault(c.Memory < smallestMemory, "--memory (AGENT_MEMORY) is %d bytes, want at least 8MiB", c.Memory)
	fault(c.ReadAhead < c.Batch, "--read-ahead (AGENT_READ_AHEAD) is %d bytes, want at least --batch-bytes, which is %d", c.ReadAhead, c.Batch)
	fault(c.RateLimit < 0, "--rate-limit (AGENT_RATE_LIMIT) is negative")
	size := 0
	for _, l := range c.Labels {
		size += len(l.Key) + len(l.Value)
		fault(l.Key == "", "--label (AGENT_LABEL) %q: want KEY=VALUE", l.Key+"="+l.Value)
		fault(l.Key == "offset" || l.Key == "path" || l.Key == "host" || l.Key == "split" || l.Key == "raw",
			"--label %s: this key is the agent's own", l.Key)
	}
	fault(size > largestLabels, "--label (AGENT_LABEL): %d bytes of labels, at most 4KiB go with each record", size)
	for name, d := range map[string]time.Duration{"--linger (AGENT_LINGER)": c.Linger, "--multiline-timeout (AGENT_MULTILINE_TIMEOUT)": c.Hold,
		"--stall-timeout (AGENT_STALL_TIMEOUT)": c.StallOut, "--max-connection-age (AGENT_MAX_CONNECTION_AGE)": c.MaxAge} {
		fault(d < 0, "%s is negative", name)
	}
	return errors.Join(faults...)
}

func validAddress(a string) bool {
	host, port, err := net.SplitHostPort(a)
	if err != nil || strings.ContainsAny(host, " /") {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

// pairs are the metadata that all records carry, but for their path.
func (c *Config) pairs() []ship.Pair {
	return append([]ship.Pair{{Key: "host", Value: c.Host}}, c.Labels...)
}

// linesPerPacket bounds a packet's records so that what each carries besides its
// line stays within the budget.
func (c *Config) linesPerPacket() int {
	each := recordOverhead
	for _, p := range c.pairs() {
		each += len(p.Key) + len(p.Value) + 4
	}
	return max(1, min(c.MaxLines, overheadBudget/each))
}
