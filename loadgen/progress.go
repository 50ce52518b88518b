package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"sluice/internal/output"
)

const watchEvery = 200 * time.Millisecond

// watch looks at the counters now and then: for the progress bar, and to end a
// run that gets no answers.
type watch struct {
	quit, done chan struct{}
}

func startWatch(o *options, p *plan, conns []conn, stall context.CancelCauseFunc, stderr io.Writer) *watch {
	w := &watch{quit: make(chan struct{}), done: make(chan struct{})}
	bar := newBar(o, p, stderr)
	go func() {
		defer close(w.done)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		var last uint64
		moved := time.Now()
		for {
			select {
			case <-w.quit:
				bar.finish(sum(conns))
				return
			case now := <-tick.C:
				c := sum(conns)
				if settled := c.delivered + c.failed; settled != last || c.unsettled == 0 {
					last, moved = settled, now
				} else if limit := o.StallTimeout; now.Sub(moved) >= limit {
					stall(&StallError{After: limit, Unsettled: c.unsettled, Last: c.lastError})
				}
				bar.show(c, now.Sub(p.start))
			}
		}
	}()
	return w
}

func (w *watch) stop() {
	close(w.quit)
	<-w.done
}

// bar is a progress bar, or nothing where nobody would see it. With a number of
// packets it counts packets, otherwise it shows the time.
type bar struct {
	pb     *progressbar.ProgressBar
	byTime bool
	out    io.Writer
}

func newBar(o *options, p *plan, stderr io.Writer) *bar {
	if o.Progress == "never" || o.Progress == "auto" && !output.IsTerminal(stderr) {
		return &bar{}
	}
	stderr = output.Transient(stderr)
	b := &bar{byTime: p.total == 0, out: stderr}
	total := int64(p.total)
	if b.byTime {
		total = o.Duration.Milliseconds()
	}
	b.pb = progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(stderr), progressbar.OptionSetWidth(30),
		progressbar.OptionSetPredictTime(!b.byTime), progressbar.OptionSetElapsedTime(true),
		progressbar.OptionThrottle(watchEvery/2),
	)
	return b
}

func (b *bar) show(c counts, elapsed time.Duration) {
	if b.pb == nil {
		return
	}
	at := int64(c.delivered + c.failed)
	if b.byTime {
		at = elapsed.Milliseconds()
	}
	text := fmt.Sprintf("%s packets/s", short(float64(c.delivered)/elapsed.Seconds()))
	if c.failed > 0 {
		text += fmt.Sprintf(", %d failed", c.failed)
	}
	b.pb.Describe(text)
	_ = b.pb.Set64(min(at, b.pb.GetMax64())) // a bar that cannot be drawn is no reason to stop
}

func (b *bar) finish(c counts) {
	if b.pb == nil {
		return
	}
	_ = b.pb.Exit()
	fmt.Fprintln(b.out)
}

// short writes a rate for people: 950, 12.3k, 2.41M.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1fk", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}
