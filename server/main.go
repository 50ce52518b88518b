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
	"sync/atomic"

	"sluice/internal/cli"
	"sluice/internal/machine"
	"sluice/internal/output"
	"sluice/internal/probe"
	"sluice/internal/sdnotify"
	"sluice/server/capacity"
	"sluice/server/config"
	"sluice/server/deadletter/command"
	"sluice/server/node"
)

func main() {
	os.Exit(run(os.Args[1:], cli.Environment(), os.Stdout, os.Stderr, cli.CatchSignals))
}

// run is the whole life of the program; it returns the exit code.
func run(args []string, env cli.Environ, stdout, stderr io.Writer, catch func() cli.Signals) int {
	if len(args) > 0 && args[0] == "dead-letters" {
		return command.Run(args[1:], env, stdout, stderr)
	}
	asked := len(args) > 0 && args[0] == "health" // of the server that runs with the same flags and environment
	var signals cli.Signals
	if asked {
		args = args[1:]
	} else {
		signals = catch()
	}
	facts := machine.Read()
	load := func() (config.Config, capacity.Report, error) {
		cfg, loaded, err := config.Load(args, env, stdout)
		if err != nil || asked {
			return cfg, capacity.Report{Report: loaded}, err
		}
		return capacity.Fit(cfg, loaded, facts)
	}
	cfg, report, err := load()
	if report.Check && !report.Done {
		err = errors.Join(report.Print(stdout), err)
	}
	var faults *cli.Errors
	if errors.As(err, &faults) {
		return cli.Refuse(stderr, faults)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	} else if report.Done || report.Check {
		return 0
	}
	output.SurviveSIGPIPE()
	if asked {
		return probe.Health(context.Background(), cfg.HTTPListen, stdout)
	}
	queue := output.NewQueue(stderr)
	defer queue.Close(output.FlushLimit)
	log, level, err := cli.AdjustableLogger(cfg.LogFormat, cfg.LogLevel, queue)
	if err != nil { // config accepts only what the logger does
		log = slog.New(slog.NewTextHandler(queue, nil))
	}
	report.Log(log)
	machine.LimitMemory(cfg.MemoryLimit)
	n, err := node.Start(cfg, log)
	if err != nil {
		log.Error("cannot start", "error", err)
		return 1
	}
	sdnotify.Tell(sdnotify.Ready)
	go func() { // aside, so that a reload that takes long delays no stop
		for range signals.Reload {
			reload(n, load, level, log)
		}
	}()
	return stop(n, <-signals.Stop, signals.Stop, log)
}

// reload obeys the file of --config anew. Whatever is wrong with it, the
// configuration in force stays.
func reload(n *node.Node, load func() (config.Config, capacity.Report, error), level *slog.LevelVar, log *slog.Logger) {
	cfg, report, err := load()
	if err == nil && report.File != "" {
		err = report.CheckReload()
	}
	switch {
	case report.File == "":
		log.Warn("SIGHUP: there is no configuration file (--config) to read again")
		return
	case err != nil:
		n.RefuseReload(err)
	default:
		err = n.Reload(cfg)
	}
	if errors.Is(err, node.ErrStopping) {
		return // there is nothing left that a file could change
	}
	if err != nil {
		log.Error("the configuration is not reloaded, the one before stays in force", "file", report.File, "error", err)
		return
	}
	for _, w := range report.Warnings {
		log.Warn(w)
	}
	if to, err := cli.Level(cfg.LogLevel); err == nil { // config accepts only levels
		level.Set(to)
	}
}

// stop drains within the grace period. A second signal ends the waiting for
// analyzers: what was answered 202 is written to the dead letters, and that is
// all that is still waited for.
func stop(n *node.Node, first os.Signal, signals <-chan os.Signal, log *slog.Logger) int {
	log.Info("stopping", "signal", first.String(), "grace", n.Grace())
	sdnotify.Tell(sdnotify.Stopping)
	ctx, cancel := context.WithTimeout(context.Background(), n.Grace())
	defer cancel()
	var hurried atomic.Bool
	go func() {
		again := <-signals
		log.Warn("stopping at once: analyzers are waited for no longer", "signal", again.String())
		hurried.Store(true)
		cancel()
	}()
	if err := n.Shutdown(ctx); err != nil {
		log.Error("stopped", "error", err)
		return 1
	}
	log.Info("stopped")
	if hurried.Load() {
		return 1
	}
	return 0
}
