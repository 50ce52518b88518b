package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"sluice/agent/node"
	"sluice/internal/output"
)

const watchEvery = 200 * time.Millisecond

// bar is the progress bar of --once, or nothing where nobody would see it.
type bar struct {
	pb  *progressbar.ProgressBar
	out io.Writer
}

func newBar(when string, once bool, stderr io.Writer) *bar {
	if !once || when == "never" || when == "auto" && !output.IsTerminal(stderr) {
		return &bar{}
	}
	stderr = output.Transient(stderr)
	return &bar{out: stderr, pb: progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(stderr), progressbar.OptionSetWidth(30), progressbar.OptionShowBytes(true),
		progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(watchEvery/2))}
}

func (b *bar) show(p node.Progress) {
	if b.pb == nil || p.Size == 0 {
		return
	}
	b.pb.ChangeMax64(p.Size)
	b.pb.Describe(fmt.Sprintf("%d records", p.Records))
	_ = b.pb.Set64(min(p.Acked, p.Size)) // a bar that cannot be drawn is no reason to stop
}

func (b *bar) finish() {
	if b.pb == nil {
		return
	}
	_ = b.pb.Exit()
	fmt.Fprintln(b.out)
}
