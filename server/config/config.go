// Package config turns flags, environment and a file into one validated Config,
// and tells where each value came from. A flag beats the environment, which beats
// the file, which beats the default. It is only here that a setting has a name, a default, a range
// and a unit; every other room takes the finished value.
package config

import (
	"io"
	"time"
)

// Config is everything that a distributor can be told. Load makes it,
// capacity.Fit makes it fit the machine; tests may start from Default. Immutable once the node has it.
type Config struct {
	Listen     string     // host:port for agents
	HTTPListen string     // host:port for HTTP
	Admin      string     // host:port for profiles; empty: none
	Analyzers  []Analyzer // 1 to MaxAnalyzers, at least one weight above 0

	Workers             int // event loops; 0: see Loops
	MaxQueue            int // packets that wait without a link, over all loops
	MaxRetries          int // hand-overs after the first failed one
	RetryDelay          time.Duration
	QueueTimeout        time.Duration // longest wait of a packet for any analyzer
	HealthCheckInterval time.Duration
	Silence             time.Duration // packets in flight and no byte for so long: the analyzer is given up
	AckTimeout          time.Duration // PONGs but no ACK for so long: the analyzer is given up
	SpillAfter          time.Duration // age of its oldest unacknowledged packet at which an analyzer gets nothing new while another does better
	SlowStart           time.Duration // from an analyzer's return to its full weight; 0: at once
	Grace               time.Duration // longest that a stop takes
	DeadLetterDir       string        // folder for packets answered 202 that nobody took
	DeadLetterMax       int           // bytes in it
	MaxConnections      int           // open connections of agents
	MaxConnectionsPerIP int           // of one IPv4 address or one IPv6 /64; 0: any number
	ByteBudget          int64         // bytes of frames over all loops and in all places: stages, queue, partial frames
	MemoryLimit         int64         // bytes that the process may use; 0: MemoryShare says it, and nothing is known before capacity.Fit
	MemoryShare         int           // percent of what the machine or the cgroup has; 0: MemoryLimit says it
	MaxFrame            int           // bytes of a frame's body
	MaxBody             int           // bytes of an /ingest body, also after inflating
	Route               string        // "weighted", "agent" or "packet"
	Spill               string        // "elastic" or "strict"
	LogFormat           string        // "text" or "json"
	LogLevel            string        // "debug", "info", "warn" or "error"

	Limits // no flags yet
}

// Analyzer is one target of packets. Immutable.
type Analyzer struct {
	Name   string
	Addr   string  // host:port; the host is resolved anew at each dial
	Weight float64 // finite, 0 or more; 0 takes nothing
}

// The values of Route and Spill.
const (
	RouteWeighted = "weighted"
	RouteAgent    = "agent"
	RoutePacket   = "packet"
	SpillElastic  = "elastic"
	SpillStrict   = "strict"
)

// Default is the configuration without any flag or environment: the demo's
// four analyzers.
func Default() Config {
	cfg, _, err := Load(nil, nil, io.Discard)
	if err != nil {
		panic(err) // the defaults are constants of this package, and a test loads them
	}
	return cfg
}

// Loops is how many event loops run on so many CPUs: Workers, or else one for
// each two of them. The kernel does about half of the work, much of it on
// whatever CPU an interrupt or a peer's write finds, and a loop of fewer finds
// more to do each time it looks: two loops on two CPUs that they shared with
// agents and analyzers took a third more CPU a packet than one
// (docs/PERFORMANCE.md).
func (c *Config) Loops(cpus int) int {
	if c.Workers > 0 {
		return c.Workers
	}
	return max((cpus+1)/2, 1)
}
