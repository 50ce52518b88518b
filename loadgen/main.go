// Loadgen sends log packets as fast as it is asked to, over as many connections
// as it is asked to, and reports what became of every single one.
//
//	options → bodies → connections → run → drain → summary → exit code
//
// Beside that it plays the parts that a server must survive: a storm of
// reconnects, senders without manners, senders without haste (modes.go).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"sluice/internal/cli"
	"sluice/internal/machine"
	"sluice/internal/output"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // a packet was not delivered, an agent not served, or nobody reached
	exitConfig = cli.ExitConfig
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments.
func run(args []string, stdout, stderr io.Writer) int {
	opts, parsed, err := parseOptions(args, cli.Environment(), stdout)
	if parsed.Done {
		return exitOK
	}
	if err == nil {
		err = opts.fitDescriptors(machine.Read().Descriptors)
	}
	if err != nil {
		return cli.Refuse(stderr, err)
	}
	output.SurviveSIGPIPE()
	out, errs := output.NewQueue(stdout), output.NewQueue(stderr)
	defer errs.Close(output.FlushLimit)
	defer out.Close(output.ProductLimit)
	stdout, stderr = out, errs
	log, err := cli.Logger(opts.LogFormat, opts.LogLevel, stderr)
	if err != nil {
		return cli.Refuse(stderr, err)
	}
	for _, w := range parsed.Warnings {
		log.Warn(w)
	}
	bodies, err := makeBodies(opts)
	if err != nil {
		return cli.Refuse(stderr, err)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends the sending and the summary follows; after that
	// signals have their usual effect again, so that a second one ends it all.
	context.AfterFunc(ctx, stop)

	if err := reach(ctx, opts); err != nil {
		fmt.Fprintf(stderr, "loadgen: %v\n", err)
		return exitFailed
	}
	res, err := perform(ctx, opts, bodies, log, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "loadgen: %v\n", err)
	}
	errs.Flush(output.FlushLimit) // what went before is to be read before
	res.print(stdout)
	if opts.JSON != "" {
		if err := writeJSON(res, opts.JSON, stdout); err != nil {
			fmt.Fprintf(stderr, "loadgen: %v\n", err)
			return exitFailed
		}
		if opts.JSON == "-" && (!out.Flush(output.ProductLimit) || out.Dropped() > 0) {
			fmt.Fprintln(stderr, "loadgen: the report could not be written to standard output")
			return exitFailed
		}
	}
	if err != nil || !res.good() {
		return exitFailed
	}
	return exitOK
}
