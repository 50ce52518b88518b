// Demo runs the whole system in one process: a distributor, four analyzers
// with weights 40/30/20/10, and agents; and shows that it keeps its promises.
// With --target compose it shows the same of the containers that run.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"sluice/internal/cli"
	"sluice/internal/output"
)

type options struct {
	All        allCmd        `cmd:"" default:"1" help:"Run all demonstrations (the default)."`
	Up         upCmd         `cmd:"" help:"Run distributor and analyzers until interrupted."`
	Weights    weightsCmd    `cmd:"" help:"Send 1,000 packets and compare each analyzer's share with its weight."`
	Failover   failoverCmd   `cmd:"" help:"Kill analyzer-2 under load, watch its share move to the others, restart it, watch it come back."`
	Throughput throughputCmd `cmd:"" help:"Send 2,000 packets over 10 connections, then as many as possible in 5 s."`

	Target    string          `help:"process: everything in this process. compose: the containers of docker-compose.yml, which must be up; failover kills one of them and starts it again." choice:"process,compose" default:"process" env:"DEMO_TARGET"`
	From      []string        `help:"Send the lines of these log files (glob, repeatable) in place of made-up ones." placeholder:"GLOB"`
	Host      string          `help:"Address to bind, or where the containers are reached; ports are 9000 and 8000 (distributor), 9001-9004 and 8001-8004 (analyzers)." default:"127.0.0.1" env:"DEMO_HOST"`
	SlowStart time.Duration   `help:"From the return of an analyzer to its full share." default:"4s" env:"SLOW_START"`
	AnyPort   bool            `help:"Bind free ports in place of the documented ones." env:"DEMO_ANY_PORT"`
	LogFormat string          `help:"Log as text or json." choice:"text,json" default:"text" env:"LOG_FORMAT"`
	LogLevel  string          `help:"Log level: debug, info, warn, error." choice:"debug,info,warn,error" default:"error" env:"LOG_LEVEL"`
	Version   cli.VersionFlag `help:"Print the version."`

	out io.Writer // standard output
}

// The values of Target.
const (
	targetProcess = "process"
	targetCompose = "compose"
)

// errBroken says that a promise was not kept; the table has told which.
var errBroken = errors.New("a promise was broken")

// demonstration is one of the commands.
type demonstration interface {
	Run(ctx context.Context, o *options, log *slog.Logger) error
}

const description = `Sluice in one process: a distributor on 9000 (agents) and 8000 (HTTP), analyzers 1 to 4 with weights 40/30/20/10.

Try: demo up, then in another terminal: curl -s localhost:8000/stats`

func main() { os.Exit(run(os.Args[1:], cli.Environment(), os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments.
func run(args []string, env cli.Environ, stdout, stderr io.Writer) int {
	var o options
	parsed, err := cli.Parse(cli.Program{Name: "demo", Description: description}, &o, args, env, stdout)
	if err != nil {
		return cli.Refuse(stderr, err)
	} else if parsed.Done {
		return 0
	}
	output.SurviveSIGPIPE()
	out, errs := output.NewQueue(stdout), output.NewQueue(stderr)
	defer func() {
		out.Close(output.ProductLimit)
		errs.Close(output.FlushLimit)
	}()
	o.out, stderr = out, errs
	log, err := cli.Logger(o.LogFormat, o.LogLevel, stderr)
	if err != nil {
		return cli.Refuse(stderr, err)
	}
	for _, w := range parsed.Warnings {
		fmt.Fprintln(stderr, "demo: warning:", w) // the log begins at errors
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	chosen := map[string]demonstration{"all": o.All, "up": o.Up, "weights": o.Weights, "failover": o.Failover, "throughput": o.Throughput}[parsed.Command]
	if err := chosen.Run(ctx, &o, log); err != nil {
		if !errors.Is(err, errBroken) {
			fmt.Fprintln(stderr, "demo:", err)
		}
		return 1
	}
	return 0
}
