// Agent ships log files, standard input and sockets to a distributor, and loses
// no line of a file.
//
//	flags → node (tail → checkpoint → ship → client) → finished or signal → drain → exit code
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"sluice/agent/node"
	"sluice/internal/cli"
	"sluice/internal/output"
	"sluice/internal/probe"
	"sluice/internal/sdnotify"
)

const (
	exitFailed = 1 // something was not delivered, or could not be opened

	// grace is how long a stop waits for the last answers. With a state folder
	// nothing is lost if they do not come.
	grace = 20 * time.Second

	// hurry is how long a second signal leaves for the state to be saved.
	hurry = 5 * time.Second

	// ownMemory is what the program needs besides what is on its way, in bytes.
	ownMemory = 32 << 20
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments.
func run(args []string, stdin io.ReadCloser, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "parse" {
		return parseFiles(args[1:], stdout, stderr)
	}
	asked := len(args) > 0 && args[0] == "health" // of the agent that runs with the same flags and environment
	if asked {
		args = args[1:]
	}
	f, parsed, err := parse(args, cli.Environment(), stdout)
	if parsed.Done {
		return 0
	}
	output.SurviveSIGPIPE()
	if asked && err == nil {
		return health(f.HTTP, stdout, stderr)
	}
	queue := output.NewQueue(stderr)
	defer queue.Close(output.FlushLimit)
	stderr = queue
	cfg, faults := f.config(parsed)
	if err = cli.Join(err, faults); err != nil {
		return cli.Refuse(stderr, err)
	}
	if cfg.Log, err = cli.Logger(f.LogFormat, f.LogLevel, stderr); err != nil {
		return cli.Refuse(stderr, err)
	}
	for _, w := range parsed.Warnings {
		cfg.Log.Warn(w)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		// The collector works harder before it lets garbage grow beyond this.
		debug.SetMemoryLimit(int64(cfg.Memory) + ownMemory)
	}
	if cfg.State == "" && !cfg.Once {
		cfg.Log.Warn("without --state a restart ships all files from their beginning")
	}
	signals := cli.CatchSignals()
	n, err := node.Start(cfg, stdin)
	if err != nil {
		fmt.Fprintf(stderr, "agent: %v\n", err)
		return exitFailed
	}
	sdnotify.Tell(sdnotify.Ready + "\nSTATUS=shipping")
	end := wait(n, f, cfg, signals, stderr)
	sdnotify.Tell(sdnotify.Stopping)
	return finish(n, cfg, end, signals.Stop, stderr)
}

// health asks the running agent, if it can be asked. Whatever else that one was
// told does not matter here.
func health(addr string, stdout, stderr io.Writer) int {
	if addr == "" {
		fmt.Fprintln(stderr, "agent: health needs the --http (AGENT_HTTP) that the running agent has")
		return cli.ExitConfig
	}
	return probe.Health(context.Background(), addr, stdout)
}

// finish drains, and says whether everything was delivered.
func finish(n *node.Node, cfg node.Config, end ending, signals <-chan os.Signal, stderr io.Writer) int {
	limit := grace
	if end == stalled {
		limit = time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- n.Stop(ctx) }()
	select {
	case err := <-stopped:
		return verdict(n, cfg, end, err, stderr)
	case again := <-signals:
		cfg.Log.Warn("stopping at once: answers are waited for no longer", "signal", again.String())
		cancel()
		select {
		case <-stopped: // what was answered is in the state
		case <-time.After(hurry):
		}
		return exitFailed
	}
}

// verdict is the exit code. A follower that was told to stop has kept its
// promise if what it leaves behind is in its state; --once and streams have not.
func verdict(n *node.Node, cfg node.Config, end ending, err error, stderr io.Writer) int {
	s := n.Stats()
	once := cfg.Once || end == complete
	// A packet of a file that was refused is no loss by itself: it was made
	// smaller, or the file is one with a problem.
	missing := s.UnansweredPackets > 0 || s.Streams.Lost > 0
	switch {
	case once && (end != complete || missing || s.Problems > 0 || err != nil):
		fmt.Fprintf(stderr, "agent: not everything was delivered: %d records were, %d packets refused, %d unanswered, %d files with problems",
			s.DeliveredRecords, s.RefusedPackets, s.UnansweredPackets, s.Problems)
		if s.LastError != "" {
			fmt.Fprintf(stderr, "; last error: %s", s.LastError)
		}
		fmt.Fprintln(stderr)
		return exitFailed
	case s.Streams.Lost > 0 || err != nil && !errors.Is(err, context.DeadlineExceeded):
		cfg.Log.Error("stopped before all was settled", "error", err, "lost_stream_bytes", s.Streams.Lost)
		return exitFailed
	case err != nil && cfg.State == "":
		cfg.Log.Error("stopped before all was delivered, and there is no --state", "error", err)
		return exitFailed
	case err != nil:
		cfg.Log.Warn("stopped before all was delivered; it is sent again after the next start", "error", err)
	}
	return 0
}

// ending is why the waiting was over.
type ending int

const (
	signalled ending = iota
	complete
	stalled
)

// wait watches the agent until it has nothing left to do, or is told to stop.
func wait(n *node.Node, f flags, cfg node.Config, signals cli.Signals, stderr io.Writer) ending {
	bar := newBar(f.Progress, cfg.Once, stderr)
	defer bar.finish()
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	if !cfg.Once {
		look.Stop()
	}
	finished := n.Finished()
	var last uint64
	moved := time.Now()
	for {
		select {
		case <-finished:
			return complete
		case sig := <-signals.Stop:
			logStop(cfg.Log, sig)
			return signalled
		case <-signals.Reload:
			n.Rescan()
		case now := <-look.C:
			s := n.Progress()
			bar.show(s)
			if s.Records != last {
				last, moved = s.Records, now
			} else if cfg.StallOut > 0 && now.Sub(moved) >= cfg.StallOut && !cfg.Stdin {
				return stalled
			}
		}
	}
}

func logStop(log *slog.Logger, sig os.Signal) {
	log.Info("stopping", "signal", sig.String(), "version", cli.Version())
}
