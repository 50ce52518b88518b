// Command server is the distributor: it receives log packets from agents and
// spreads them over analyzers by weight. See --help.
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

	"sluice/internal/cli"
	"sluice/internal/machine"
	"sluice/internal/probe"
	"sluice/internal/sdnotify"
	"sluice/server/config"
	"sluice/server/deadletter"
	"sluice/server/node"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr, signals))
}

// run is the whole life of the program; it returns the exit code.
func run(args []string, env func(string) (string, bool), stdout, stderr io.Writer, signals <-chan os.Signal) int {
	if len(args) > 0 && args[0] == "dead-letters" {
		return deadletter.Command(args[1:], env, stdout, stderr)
	}
	asked := len(args) > 0 && args[0] == "health" // of the server that runs with the same flags and environment
	if asked {
		args = args[1:]
	}
	cfg, report, err := config.Load(args, env)
	if err == nil && !asked {
		cfg, report, err = config.Fit(cfg, report, machine.Read())
	}
	switch {
	case report.Help:
		err = config.Help(stdout)
	case report.Version:
		_, err = fmt.Fprintln(stdout, cli.Version())
	case report.Check:
		err = errors.Join(report.Print(stdout), err)
	}
	var faults *config.Errors
	if errors.As(err, &faults) {
		fmt.Fprintln(stderr, faults)
		return config.ExitCode
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	} else if report.Help || report.Version || report.Check {
		return 0
	} else if asked {
		return probe.Health(context.Background(), cfg.HTTPListen, stdout)
	}
	log, err := cli.Logger(cfg.LogFormat, cfg.LogLevel, stderr)
	if err != nil { // config accepts only what the logger does
		log = slog.New(slog.NewTextHandler(stderr, nil))
	}
	report.Log(log)
	machine.LimitMemory(cfg.MemoryLimit)
	n, err := node.Start(cfg, log)
	if err != nil {
		log.Error("cannot start", "error", err)
		return 1
	}
	sdnotify.Tell(sdnotify.Ready)
	return stop(n, <-signals, signals, cfg, log)
}

// stop drains within the grace period; a second signal ends it at once.
func stop(n *node.Node, first os.Signal, signals <-chan os.Signal, cfg config.Config, log *slog.Logger) int {
	log.Info("stopping", "signal", first.String(), "grace", cfg.Grace)
	sdnotify.Tell(sdnotify.Stopping)
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Grace)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- n.Shutdown(ctx) }()
	select {
	case err := <-drained:
		if err != nil {
			log.Error("stopped", "error", err)
			return 1
		}
		log.Info("stopped")
		return 0
	case again := <-signals:
		log.Warn("stopped at once", "signal", again.String())
		return 1
	}
}
