package main

import (
	"fmt"
	"math"
	"slices"
)

// Measures of the percentile curves, in pixels.
const (
	curveWidth  = 760.0
	curvePanel  = 240.0 // height of a panel with its title and axis
	curveLeft   = 48.0
	curveTop    = 34.0
	curveBottom = 34.0
)

var quantiles = [...]string{"p50", "p90", "p99", "p99.9", "max"}

// curveChart draws the percentiles of acknowledgement latency: one panel a load,
// one line a peer, all with the same logarithmic axis.
func curveChart(all []latencySeries) []byte {
	c := &canvas{width: curveWidth}
	var loads []string
	low, high := math.Inf(1), 0.0
	for i := range all {
		if !slices.Contains(loads, all[i].Load) {
			loads = append(loads, all[i].Load)
		}
		if len(all[i].Runs) == 0 {
			continue
		}
		for _, q := range all[i].percentiles() {
			low, high = min(low, max(q, 1e-3)), max(high, q)
		}
	}
	if high == 0 {
		low, high = 0.1, 10
	}
	low, high = math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	if high <= low {
		high = low + 1
	}
	wide := curveWidth / 2
	for i, load := range loads {
		x, y := float64(i%2)*wide, float64(i/2)*curvePanel
		c.curvePanel(x, y, wide, load, all, low, high)
	}
	bottom := math.Ceil(float64(len(loads))/2) * curvePanel
	c.text(curveLeft, bottom+14, "small", "start", "milliseconds from the planned time of sending to the acknowledgement; lines: Sluice (colour), HAProxy relay (grey)")
	return c.done(bottom+24, "Percentiles of acknowledgement latency")
}

func (c *canvas) curvePanel(x, y, wide float64, load string, all []latencySeries, low, high float64) {
	left, right := x+curveLeft, x+wide-24
	top, bottom := y+curveTop, y+curvePanel-curveBottom
	at := func(ms float64) float64 {
		return bottom - (math.Log10(max(ms, 1e-3))-low)/(high-low)*(bottom-top)
	}
	column := func(i int) float64 { return left + (right-left)*float64(i)/float64(len(quantiles)-1) }
	c.text(left, y+20, "title", "start", load)
	for e := low; e <= high; e++ {
		v := math.Pow(10, e)
		c.line("grid", left, at(v), right, at(v))
		c.text(left-6, at(v)+4, "small", "end", fmt.Sprintf("%g", v))
	}
	for i, q := range quantiles {
		c.text(column(i), bottom+16, "small", "middle", q)
	}
	for i := range all {
		s := &all[i]
		if s.Load != load || len(s.Runs) == 0 {
			continue
		}
		var points string
		q := s.percentiles()
		for k, v := range q {
			points += fmt.Sprintf("%.1f,%.1f ", column(k), at(v))
		}
		fmt.Fprintf(&c.body, `<polyline class="line %s" style="fill:none" points="%s"/>`+"\n", classOf(s.Name), points)
	}
}
