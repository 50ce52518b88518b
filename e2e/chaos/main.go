// Command chaos is the long form of the fault harness: it makes every fault
// many times and prints the table of docs/RELIABILITY.md. `make chaos` runs it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"sluice/e2e/faults"
	"sluice/e2e/harness"
	"sluice/internal/cli"
)

type options struct {
	Run   runOptions   `cmd:"" default:"withargs" help:"Run the scenarios and print the table."`
	Agent agentOptions `cmd:"" hidden:"" help:"Be an agent that is to be killed."`
	Idle  idleOptions  `cmd:"" hidden:"" help:"Be agents that say nothing."`
}

type runOptions struct {
	Minutes  float64  `default:"30" env:"CHAOS_MINUTES" help:"Budget, divided over the rows. Each fault is made at least as often as its row says, whatever that takes."`
	Only     []string `placeholder:"C1,C7" help:"Run these rows only."`
	Times    int      `placeholder:"N" help:"Make each fault at most N times, for a quick look."`
	Beside   int      `default:"3" help:"How many rows that mostly wait run at a time."`
	Markdown string   `placeholder:"FILE" help:"Write the table to this file too: between its two marks, if it has them."`
	Bin      string   `env:"E2E_BIN" placeholder:"DIR" help:"Programs to test: server, analyzer, loadgen and chaos in this folder, instead of building them."`
	Keep     string   `placeholder:"DIR" help:"Folder for the files of failed rows. Default: a temporary one, which is kept if a row failed."`
}

type agentOptions struct {
	Kind    string `enum:"client,plain" required:""`
	To      string `required:""`
	Number  int    `required:""`
	Rate    int    `required:""`
	Journal string `required:""`
}

type idleOptions struct {
	To    string `required:""`
	Count int    `required:""`
}

func main() {
	var o options
	k := kong.Parse(&o, kong.Name("chaos"), kong.Description("Breaks things under a running system and judges whether anything was lost."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch k.Command() {
	case "agent":
		a := o.Agent
		err = harness.RunAgent(ctx, a.Kind == "plain", a.To, a.Number, a.Rate, a.Journal)
	case "idle":
		err = harness.RunIdle(ctx, o.Idle.To, o.Idle.Count)
	default:
		err = run(ctx, o.Run)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// run executes the rows and prints the table; a row that did not pass is an
// error.
func run(ctx context.Context, o runOptions) error {
	rows, err := choose(o.Only)
	if err != nil {
		return err
	}
	dir := o.Keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "sluice-chaos-"); err != nil {
			return err
		}
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lab, err := harness.NewLab(ctx, dir, o.Bin)
	if err != nil {
		return err
	}
	budget := time.Duration(o.Minutes * float64(time.Minute))
	form := harness.Form{Long: true, Times: o.Times, Budget: share(rows, budget, o.Beside)}
	fmt.Printf("%s, %d CPUs: %d rows, %v for each at least\n", time.Now().Format(time.DateTime), runtime.NumCPU(), len(rows), form.Budget.Round(time.Second))
	results := execute(ctx, lab, rows, form, o.Beside)
	table := fmt.Sprintf("`make chaos`, CHAOS_MINUTES=%g, %s, %d CPUs, %s.\n\n%s", o.Minutes,
		time.Now().Format(time.DateOnly), runtime.NumCPU(), cli.Version(), harness.Markdown(results))
	fmt.Printf("\n%s", table)
	if o.Markdown != "" {
		if err := writeTable(o.Markdown, table); err != nil {
			return err
		}
	}
	return judge(ctx, results, len(rows), dir, o.Keep == "")
}

func choose(only []string) (rows []harness.Row, err error) {
	all := faults.Rows()
	if len(only) == 0 {
		return all, nil
	}
	for _, id := range only {
		i := slices.IndexFunc(all, func(r harness.Row) bool { return strings.EqualFold(r.ID, id) })
		if i < 0 {
			return nil, fmt.Errorf("there is no row %q", id)
		}
		rows = append(rows, all[i])
	}
	return rows, nil
}

// share divides the budget: rows that run beside each other share their time.
func share(rows []harness.Row, budget time.Duration, beside int) time.Duration {
	turns := 0.0
	for _, r := range rows {
		if r.Alone {
			turns++
		} else {
			turns += 1 / float64(max(1, beside))
		}
	}
	return time.Duration(float64(budget) / max(1, turns))
}

// execute runs the rows that mostly wait a few at a time, and then, one after
// the other, those that need the machine for themselves. After an interrupt no
// further row begins.
func execute(ctx context.Context, lab *harness.Lab, rows []harness.Row, form harness.Form, beside int) []*harness.Result {
	results := make([]*harness.Result, len(rows))
	one := func(i int) {
		if ctx.Err() != nil {
			return
		}
		results[i] = lab.Execute(&rows[i], form)
		fmt.Printf("%-4s %-8s %4.0f s  %s\n%s", rows[i].ID, results[i].Status(), results[i].Took.Seconds(), rows[i].Fault, results[i].Why())
	}
	slots := make(chan struct{}, max(1, beside))
	var wg sync.WaitGroup
	for i, r := range rows {
		if !r.Alone {
			slots <- struct{}{}
			wg.Go(func() { one(i); <-slots })
		}
	}
	wg.Wait()
	for i, r := range rows {
		if r.Alone {
			one(i)
		}
	}
	return slices.DeleteFunc(results, func(r *harness.Result) bool { return r == nil })
}

func judge(ctx context.Context, results []*harness.Result, due int, dir string, temporary bool) error {
	bad := 0
	for _, r := range results {
		if !r.Passed() {
			bad++
		}
	}
	switch {
	case bad > 0:
		return fmt.Errorf("%d of %d rows did not pass; files in %s", bad, len(results), dir)
	case len(results) < due:
		return fmt.Errorf("interrupted after %d of %d rows: %w", len(results), due, context.Cause(ctx))
	case temporary:
		return os.RemoveAll(dir)
	}
	return nil
}
