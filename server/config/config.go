// Package config turns flags and environment into one validated Config, and
// tells where each value came from. A flag beats the environment, which beats
// the default. It is only here that a setting has a name, a default, a range
// and a unit; every other room takes the finished value.
package config

import "time"

// Config is everything that a distributor can be told. Load makes it; tests
// may start from Default. Immutable once the node has it.
type Config struct {
	Listen     string     // host:port for agents
	HTTPListen string     // host:port for HTTP
	Analyzers  []Analyzer // 1 to MaxAnalyzers, at least one weight above 0

	Workers             int // event loops; 0 is one per CPU
	MaxQueue            int // packets that wait without a link, over all loops
	MaxRetries          int // hand-overs after the first failed one
	RetryDelay          time.Duration
	HealthCheckInterval time.Duration
	MaxFrame            int    // bytes of a frame's body
	MaxBody             int    // bytes of an /ingest body, also after inflating
	Route               string // "weighted", "agent" or "packet"
	Spill               string // "elastic" or "strict"
	LogFormat           string // "text" or "json"
	LogLevel            string // "debug", "info", "warn" or "error"

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
	cfg, _, err := Load(nil, func(string) (string, bool) { return "", false })
	if err != nil {
		panic(err) // the defaults are constants of this package, and a test loads them
	}
	return cfg
}
