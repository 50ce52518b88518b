package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sluice/server/stats"
)

type upCmd struct{}

// Run runs the system until interrupted.
func (upCmd) Run(ctx context.Context, o *options, log *slog.Logger) error {
	if o.Target != targetProcess {
		return fmt.Errorf("up runs in one process; for containers: docker compose up --build -d")
	}
	s, err := startLocal(ctx, o, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "distributor  agents %s  http http://%s\n", s.distributor.Addr(), s.distributor.HTTPAddr())
	for i, a := range s.analyzers {
		fmt.Fprintf(o.out, "analyzer-%d   weight %2.0f  agents %s  http http://%s\n", i+1, weights[i], a.Addr(), a.HTTPAddr())
	}
	fmt.Fprintln(o.out, "running; interrupt to stop")
	<-ctx.Done()
	return s.stop()
}

// with runs a demonstration against a system of its own, or the one that runs.
func with(ctx context.Context, o *options, log *slog.Logger, demonstrate func(system, *lines) error) error {
	l, err := readLines(o.From)
	if err != nil {
		return err
	}
	s, err := startSystem(ctx, o, log)
	if err != nil {
		return err
	}
	broken := look(o.out, func() error {
		if err := awaitSteady(ctx, s, steadyLimit); err != nil {
			return err
		}
		return demonstrate(s, l)
	})
	if err := s.stop(); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return broken
}

type allCmd struct{}

// Run runs all demonstrations, each against a fresh system.
func (allCmd) Run(ctx context.Context, o *options, log *slog.Logger) error {
	where := "all in this process"
	if o.Target == targetCompose {
		where = "in the containers of docker-compose.yml"
	}
	fmt.Fprintf(o.out, "Sluice: one distributor, four analyzers with weights 40/30/20/10, %s.\n", where)
	var broken error
	for _, demonstration := range []interface {
		Run(context.Context, *options, *slog.Logger) error
	}{weightsCmd{}, failoverCmd{}, throughputCmd{}} {
		if err := demonstration.Run(ctx, o, log); errors.Is(err, errBroken) {
			broken = err // and the others are shown all the same
		} else if err != nil {
			return err
		}
	}
	return broken
}

type weightsCmd struct{}

// splitSlack is how far a share may be from its weight, in packets.
const splitSlack = 10

// Run shows the split: 1,000 packets, or every line of the files given.
func (weightsCmd) Run(ctx context.Context, o *options, log *slog.Logger) error {
	return with(ctx, o, log, func(s system, l *lines) error {
		before, first, err := counted(ctx, s)
		if err != nil {
			return err
		}
		count, from := uint64(1000), "over 10 connections"
		var r sent
		if len(l.patterns) > 0 {
			r, err = ship(ctx, s.agentAddr(), l.patterns)
			count, from = r.accepted, "of real files, shipped by an agent"
		} else {
			r, err = send(ctx, load{addr: s.agentAddr(), conns: 10, count: count, lines: l})
		}
		if err != nil {
			return err
		}
		after, last, err := counted(ctx, s)
		if err != nil {
			return err
		}
		promises := []promise{{
			"delivered", fmt.Sprintf("%d of %d", count, count), fmt.Sprintf("%d of %d", r.delivered, r.accepted), r.delivered == count, false,
		}}
		var total float64
		for _, w := range weights {
			total += w
		}
		for i, w := range weights {
			want, got := float64(count)*w/total, after[i]-before[i]
			off := float64(got) - want
			promises = append(promises, promise{
				last.Analyzers[i].Name, fmt.Sprintf("%.0f ± %d  (%.0f %%)", want, splitSlack, 100*w/total),
				fmt.Sprintf("%d  (%.2f %%)", got, 100*float64(got)/float64(count)),
				off <= splitSlack && off >= -splitSlack, disturbed(&first, &last),
			})
		}
		promises = append(promises, ledger(last))
		return verdict(o.out, fmt.Sprintf("Weights: %d packets %s", count, from), promises)
	})
}

// counted is what the analyzers and the distributor have counted so far.
func counted(ctx context.Context, s system) ([]uint64, stats.Snapshot, error) {
	got, err := s.received(ctx)
	st, err2 := s.stats(ctx)
	return got, st, errors.Join(err, err2)
}

// ledger is the promise that every packet is accounted for.
func ledger(st stats.Snapshot) promise {
	return promise{"unaccounted", "0", fmt.Sprint(st.UnaccountedPackets), st.UnaccountedPackets == 0, false}
}

type throughputCmd struct{}

// Run shows the speed: what the seed promised, and what there is.
func (throughputCmd) Run(ctx context.Context, o *options, log *slog.Logger) error {
	return with(ctx, o, log, func(s system, l *lines) error {
		few, err := send(ctx, load{addr: s.agentAddr(), conns: 10, count: 2000, lines: l})
		if err != nil {
			return err
		}
		timed, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		most, err := send(timed, load{addr: s.agentAddr(), conns: 10, lines: l})
		if err != nil {
			return err
		}
		rate := float64(most.delivered) / most.took.Seconds()
		st, err := s.stats(ctx)
		if err != nil {
			return err
		}
		return verdict(o.out, "Throughput: 10 connections, one message a packet, every packet analysed and acknowledged", []promise{
			{"2,000 packets", "2000 delivered", fmt.Sprintf("%d in %v", few.delivered, few.took.Round(time.Millisecond)), few.delivered == 2000, false},
			{"as many as it can in 5 s", "over 800/s", fmt.Sprintf("%d delivered, %.0f/s", most.delivered, rate), rate > 800, true},
			{"not delivered", "0", fmt.Sprint(few.failed + most.failed), few.failed+most.failed == 0, false},
			ledger(st),
		})
	})
}
