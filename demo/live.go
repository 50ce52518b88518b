package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"sluice/internal/output"
	"sluice/server/stats"
)

const (
	lookEvery = 100 * time.Millisecond
	lineEvery = time.Second
)

// live shows what each analyzer gets: on a terminal a table that is written
// over, elsewhere a line a second.
type live struct {
	w        io.Writer
	terminal bool
	system   system
	begin    time.Time
	lines    int // of the table on the screen

	last   *stats.Snapshot // at the last line
	lastAt time.Time
}

func newLive(ctx context.Context, w io.Writer, s system) (*live, error) {
	first, err := s.stats(ctx)
	return &live{w: w, terminal: output.IsTerminal(w), system: s, begin: time.Now(), last: &first, lastAt: time.Now()}, err
}

// phase watches for a time and returns the shares of the analyzers over it.
func (v *live) phase(ctx context.Context, title string, d time.Duration) (p phase, err error) {
	first, err := v.system.stats(ctx)
	if err != nil {
		return p, err
	}
	end := time.Now().Add(d)
	if _, err := v.until(ctx, title, func(*stats.Snapshot) bool { return time.Now().After(end) }); err != nil {
		return p, err
	}
	now, err := v.system.stats(ctx)
	return phase{shares(&first, &now), disturbed(&first, &now)}, err
}

// phase is what was seen over a time.
type phase struct {
	shares    []float64 // of the analyzers, in per cent of what was delivered
	disturbed bool
}

// disturbed says whether packets went elsewhere than the weights say, because an
// analyzer did not keep up or was taken for dead. On a machine that is too busy to
// let the analyzers run, that is right, and says nothing about the split.
func disturbed(from, to *stats.Snapshot) bool {
	for i := range to.Analyzers {
		if to.Analyzers[i].Transitions != from.Analyzers[i].Transitions {
			return true
		}
	}
	return to.SpilledPackets != from.SpilledPackets || to.RedispatchedPackets != from.RedispatchedPackets
}

// until watches until a condition holds, and returns how long that took.
func (v *live) until(ctx context.Context, title string, ok func(*stats.Snapshot) bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	begin := time.Now()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		now, err := v.system.stats(ctx)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", title, err)
		}
		if ok(&now) {
			v.show(title, &now, true)
			return time.Since(begin), nil
		}
		v.show(title, &now, false)
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s: nothing more happened within %v: %w", title, settleLimit, ctx.Err())
		case <-look.C:
		}
	}
}

// show writes the state of now, at most once a lineEvery unless it is the last
// of its phase.
func (v *live) show(title string, now *stats.Snapshot, last bool) {
	elapsed := time.Since(v.lastAt)
	if elapsed < lineEvery && !last || elapsed < lookEvery {
		return
	}
	share := shares(v.last, now)
	rate := float64(now.DeliveredPackets-v.last.DeliveredPackets) / elapsed.Seconds()
	v.last, v.lastAt = now, time.Now()
	at := time.Since(v.begin).Seconds()
	var b strings.Builder // written at once, so that it is shown whole or not at all
	if !v.terminal {
		fmt.Fprintf(&b, "  %5.1f s  %-28s %6.0f/s ", at, title, rate)
		for i, a := range now.Analyzers {
			fmt.Fprintf(&b, "  %s %5.1f %%", mark(a.State), share[i])
		}
		fmt.Fprintln(v.w, b.String())
		return
	}
	if v.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.lines)
	}
	fmt.Fprintf(&b, "\x1b[2K  %5.1f s  %s  %.0f packets/s, %d redispatched\n", at, title, rate, now.RedispatchedPackets)
	for i, a := range now.Analyzers {
		fmt.Fprintf(&b, "\x1b[2K  %-11s %-10s %5.1f %%  %-50s %s\n", a.Name, a.State, share[i], strings.Repeat("█", int(share[i]/2)), a.Reason)
	}
	io.WriteString(v.w, b.String())
	v.lines = 1 + len(now.Analyzers)
}

// mark is a state in one letter, for a line.
func mark(state string) string {
	if state == stats.StateUp {
		return " "
	}
	return state[:1]
}

// shares are what each analyzer delivered between two moments, in per cent.
func shares(from, to *stats.Snapshot) []float64 {
	all := float64(to.DeliveredPackets - from.DeliveredPackets)
	out := make([]float64, len(to.Analyzers))
	for i := range out {
		if all > 0 {
			out[i] = 100 * float64(to.Analyzers[i].DeliveredPackets-from.Analyzers[i].DeliveredPackets) / all
		}
	}
	return out
}
