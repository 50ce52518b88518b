// Analyzer receives log packets, from a distributor or from agents directly,
// counts what is in them and acknowledges them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"sluice/analyzer/node"
	"sluice/internal/cli"
	"sluice/internal/output"
	"sluice/internal/probe"
	"sluice/internal/sdnotify"
)

const (
	exitFailed = 1 // an address in use, a file that cannot be opened

	// grace is how long a stop may take before what is left is cut off.
	grace = 25 * time.Second
)

func main() { os.Exit(run(os.Args[1:])) }

// run is the life of the analyzer: configuration, start, wait, stop.
func run(args []string) int {
	asked := len(args) > 0 && args[0] == "health" // of the analyzer that runs with the same flags and environment
	if asked {
		args = args[1:]
	}
	flags, parsed, err := parse(args, cli.Environment(), os.Stdout)
	if parsed.Done {
		return 0
	}
	output.SurviveSIGPIPE()
	if asked && err == nil {
		return probe.Health(context.Background(), flags.HTTP, os.Stdout)
	}
	queue := output.NewQueue(os.Stderr)
	defer queue.Close(output.FlushLimit)
	cfg, faults := flags.config()
	if err = cli.Join(err, faults); err != nil {
		return cli.Refuse(queue, err)
	}
	log, err := cli.Logger(flags.LogFormat, flags.LogLevel, queue)
	if err != nil {
		return cli.Refuse(queue, err)
	}
	for _, w := range parsed.Warnings {
		log.Warn(w)
	}
	cfg.Logger = log

	signals := make(chan os.Signal, 2) // SIGHUP has its usual effect
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	n, err := node.Start(cfg)
	if err != nil {
		fmt.Fprintf(queue, "analyzer: %v\n", err)
		return exitFailed
	}
	sdnotify.Tell(sdnotify.Ready)
	log.Info("stopping", "signal", (<-signals).String(), "version", cli.Version())
	sdnotify.Tell(sdnotify.Stopping)

	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- n.Stop(ctx) }()
	select {
	case err = <-stopped:
	case again := <-signals:
		log.Warn("stopping at once", "signal", again.String())
		return exitFailed
	}
	if err != nil {
		log.Error("stopped before all was settled", "error", err)
		return exitFailed
	}
	return 0
}
