package config

import (
	"sluice/internal/cli"
)

// flags is the command line and its help. All values are kept as text: Load
// judges them beside those of the environment and the file, and tells where each
// came from.
// Owned by one call of Load.
type flags struct {
	Listen    string `group:"Addresses" placeholder:"ADDR" help:"Where agents connect."`
	HTTP      string `name:"http" group:"Addresses" placeholder:"ADDR" help:"Where HTTP is served: /ingest, /stats, /metrics, /health, /healthz, /readyz."`
	Admin     string `group:"Addresses" placeholder:"ADDR" help:"Where profiles are served (/debug/pprof), if at all: such as 127.0.0.1:6060. They show what is in memory: name a host that only you can reach."`
	Analyzers string `group:"Addresses" placeholder:"LIST" help:"Who gets the packets: name=tcp://host:port?weight=40, separated by commas. Shares are in proportion to the weights; without one it is 1, and 0 takes nothing."`

	Route string `group:"Dispatch" placeholder:"ROUTE" help:"weighted: split exactly by weight. agent, packet: one agent_id, or packet_id, sticks to one analyzer, by weight."`
	Spill string `group:"Dispatch" placeholder:"SPILL" help:"elastic: what is picked for an analyzer that does not keep up goes to another. strict: it waits."`

	MaxQueue   string `group:"Dispatch" placeholder:"N" help:"Packets that wait when no analyzer has room; beyond it senders are told busy, or 503."`
	MaxRetries string `group:"Dispatch" placeholder:"N" help:"Further analyzers tried after a hand-over failed, before the sender is told unavailable."`
	RetryDelay string `group:"Dispatch" placeholder:"D" help:"Before the second further try; doubles with each."`

	QueueTimeout string `group:"Dispatch" placeholder:"D" help:"Longest wait for any analyzer, before the sender is told unavailable."`

	HealthCheckInterval string `group:"Health" placeholder:"D" help:"How often an analyzer without traffic is asked whether it is alive."`
	Silence             string `group:"Health" placeholder:"D" help:"An analyzer with packets in flight that sends no byte for this long is given up; what it had goes to others."`
	AckTimeout          string `group:"Health" placeholder:"D" help:"The same for one that answers PINGs but acknowledges nothing. Above what an analyzer may need for a packet."`
	SpillAfter          string `group:"Health" placeholder:"D" help:"An analyzer whose oldest packet has no answer for this long gets nothing new, while others do better."`
	SlowStart           string `group:"Health" placeholder:"D" help:"From the return of an analyzer to its full weight. 0: at once."`

	DeadLetterDir string `group:"Stopping and dead letters" placeholder:"DIR" help:"Where packets are kept that were answered 202 and that no analyzer took. They are delivered from there once analyzers are well; see server dead-letters --help."`
	DeadLetterMax string `group:"Stopping and dead letters" placeholder:"SIZE" help:"Most bytes in it. Without room for a packet in it, /ingest answers 503."`
	Grace         string `group:"Stopping and dead letters" placeholder:"D" help:"Longest time for a stop to settle what is in flight."`

	Workers  string `group:"Limits" placeholder:"N" help:"Event loops. 0: one for each two CPUs."`
	MaxFrame string `group:"Limits" placeholder:"SIZE" help:"Largest packet, in its binary form. Agents that read no WELCOME count on 1MiB."`

	MaxConnections      string `group:"Limits" placeholder:"N" help:"Open connections of agents; more are told GOAWAY overload. Without this setting it is lowered at start to what memory and descriptors (ulimit -n) are enough for."`
	MaxConnectionsPerIP string `name:"max-connections-per-ip" group:"Limits" placeholder:"N" help:"The same for each IPv4 address, or IPv6 /64. 0: no such limit."`
	ByteBudget          string `group:"Limits" placeholder:"SIZE" help:"Memory for packets that are not yet acknowledged; beyond it senders are told busy, or 503. Without this setting it is lowered at start to what fits the memory limit."`
	MemoryLimit         string `group:"Limits" placeholder:"SIZE" help:"What the process may use at worst, which is computed at start from all limits (see --check): a size, or a share of what the cgroup or the machine has. The garbage collector obeys it, too, and GOMEMLIMIT if that is lower."`

	MaxBody string `group:"Limits" placeholder:"SIZE" help:"Largest body of /ingest, also after inflating."`

	LogFormat string `group:"Logging" placeholder:"FORMAT" help:"text or json, on standard error."`
	LogLevel  string `group:"Logging" placeholder:"LEVEL" help:"debug, info, warn or error."`

	Config string `placeholder:"FILE" help:"Configuration file (YAML) with any of these settings: names as here with _ for -. SIGHUP reads it again: analyzers, weights, most limits and the log level change at once, without losing or repeating a packet."`

	Check   bool            `help:"Validate, print the effective configuration and where each value came from, and exit: 0, or 78 if something is wrong."`
	Version cli.VersionFlag `help:"Print the version and exit."`
}

const description = `Sluice receives log packets from agents and spreads them over analyzers by
weight. It acknowledges a packet only when an analyzer has acknowledged it.`

const examples = `
Values
  Each flag has an environment variable, named in its brackets, and a key in the
  file of --config: its name with _ for -. A flag beats the environment, which
  beats the file, which beats the default. An empty variable counts as not set.
  Durations are seconds (5, 0.5) or have a unit (500ms, 1m30s). Sizes are bytes
  or have a unit (512KiB, 4MiB).

Examples
  Four analyzers on this machine, as in the demo:
    server
  Two analyzers, of which a gets three packets of four:
    server --analyzers 'a=tcp://10.0.0.1:9001?weight=3,b=tcp://10.0.0.2:9001'
  The same by environment, on other ports, and only checked:
    ANALYZERS='a=tcp://10.0.0.1:9001?weight=3,b=tcp://10.0.0.2:9001' \
      LISTEN=:7000 HTTP_LISTEN=127.0.0.1:7001 server --check
  All of it in a file, which SIGHUP reads again (deploy/sluice.yaml has every key):
    server --config sluice.yaml
  Send it a packet:
    curl -H 'Content-Type: application/json' 'http://127.0.0.1:8000/ingest?wait=5s' -d '{
      "packet_id":"p-1","agent_id":"a-1","messages":[{"timestamp":"2026-01-02T03:04:05Z",
      "level":"INFO","source":"shell","message":"hello"}]}'

Exit codes
  0 stopped or nothing wrong; 1 failed, such as a port in use; 78 bad configuration.
  SIGINT and SIGTERM stop it in an orderly way; a second one at once. SIGHUP reads
  the file of --config again; a bad one changes nothing and is told in the log.

Commands
  server dead-letters list|replay|drop
  server health    ask the server that runs with the same flags and environment:
                   0 healthy, or degraded and serving; 1 not, and why
`

// program is the server to the command line.
func program() cli.Program {
	return cli.Program{Name: "server", Description: description, Notes: examples, Elsewhere: func(flag string) cli.Explained {
		for _, s := range settings() {
			switch {
			case s.flag != flag:
			case flag == analyzersFlag:
				return cli.Explained{Env: s.env, Default: "the demo's four on ports 9001 to 9004"}
			default:
				return cli.Explained{Env: s.env, Default: s.preset, Bounds: s.bounds}
			}
		}
		if flag == fileFlag {
			return cli.Explained{Env: fileEnv, Default: "none"}
		}
		return cli.Explained{}
	}}
}
