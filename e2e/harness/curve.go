package harness

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Curve is a figure of a process over time. Owned by the scenario's goroutine
// once Stop has returned.
type Curve struct {
	Values []float64

	run  *Run
	stop chan struct{}
	done chan error
}

// Watch samples a figure until Stop, beginning now.
func (r *Run) Watch(every time.Duration, read func() (int, error)) *Curve {
	c := &Curve{run: r, stop: make(chan struct{}), done: make(chan error, 1)}
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			v, err := read()
			if err != nil {
				c.done <- err
				return
			}
			c.Values = append(c.Values, float64(v))
			select {
			case <-c.stop:
				c.done <- nil
				return
			case <-tick.C:
			}
		}
	}()
	return c
}

// Stop ends the sampling.
func (c *Curve) Stop() *Curve {
	close(c.stop)
	c.run.Must(<-c.done)
	return c
}

// Part returns the median of the samples between two points of the time, 0 to 1.
func (c *Curve) Part(from, to float64) float64 {
	n := float64(len(c.Values))
	part := slices.Clone(c.Values[int(from*n):max(int(to*n), int(from*n)+1)])
	slices.Sort(part)
	return part[len(part)/2]
}

// Max is the largest sample.
func (c *Curve) Max() float64 { return slices.Max(c.Values) }

// sparkWidth is how many characters a drawn curve has at most.
const sparkWidth = 40

// Draw returns the curve as bars from 0 to its largest sample, each the largest
// of its part of the time.
func (c *Curve) Draw() string {
	const bars = "▁▂▃▄▅▆▇█"
	var b strings.Builder
	width := min(sparkWidth, len(c.Values))
	for i := range width {
		v := slices.Max(c.Values[i*len(c.Values)/width : (i+1)*len(c.Values)/width])
		b.WriteRune([]rune(bars)[int(v/max(c.Max(), 1)*7)])
	}
	return b.String()
}

// MiB tells least, largest and shape of a curve of bytes.
func (c *Curve) MiB() string {
	return fmt.Sprintf("%.0f–%.0f MiB %s", slices.Min(c.Values)/(1<<20), c.Max()/(1<<20), c.Draw())
}
