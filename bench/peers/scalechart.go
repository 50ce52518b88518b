package main

import (
	"fmt"
	"math"
)

// Measures of the scale chart, in pixels.
const (
	scaleSide   = 400.0 // of the square of measured against predicted
	scaleLeft   = 64.0
	scaleTop    = 40.0
	scaleBars   = 560.0 // where the bars of errors have their middle, and what it takes to their names
	scaleNames  = 290.0
	scaleRow    = 24.0
	scaleFull   = 0.4 // error at which a bar ends
	scaleBarLen = 110.0
)

// chart draws measured against predicted CPU, both logarithmic, and the error at
// each point that was held out.
func (m *scaleModel) chart() []byte {
	c := &canvas{width: scaleBars + scaleBarLen + scaleNames + scaleBarLen + 40}
	low, high := math.Inf(1), 0.0
	for _, p := range m.all {
		said := m.model.CPU.Predict(p.Point)
		low, high = min(low, p.CPU, said), max(high, p.CPU, said)
	}
	low, high = math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	right, bottom := scaleLeft+scaleSide, scaleTop+scaleSide
	along := func(v float64) float64 { return (math.Log10(v) - low) / (high - low) * scaleSide }
	c.text(scaleLeft, 22, "title", "start", "CPU of the distributor for each packet, µs")
	for e := low; e <= high; e++ {
		v := math.Pow(10, e)
		c.line("grid", scaleLeft+along(v), scaleTop, scaleLeft+along(v), bottom)
		c.line("grid", scaleLeft, bottom-along(v), right, bottom-along(v))
		c.text(scaleLeft+along(v), bottom+16, "small", "middle", fmt.Sprintf("%g", v))
		c.text(scaleLeft-6, bottom-along(v)+4, "small", "end", fmt.Sprintf("%g", v))
	}
	c.line("axis", scaleLeft, bottom, right, scaleTop)
	off := math.Log10(1+poorLimit) / (high - low) * scaleSide
	c.line("grid", scaleLeft, bottom-off, right-off, scaleTop)
	c.line("grid", scaleLeft+off, bottom, right, scaleTop+off)
	// Held-out points last, so that they lie on top.
	for _, held := range []bool{false, true} {
		class := "peer"
		if held {
			class = "own"
		}
		for _, p := range m.all {
			if p.HeldOut == held {
				c.circle(class, scaleLeft+along(p.CPU), bottom-along(m.model.CPU.Predict(p.Point)), 4)
			}
		}
	}
	c.text(scaleLeft+scaleSide/2, bottom+34, "small", "middle", "measured")
	c.text(scaleLeft, bottom+52, "small", "start", fmt.Sprintf("height: predicted; lines: equal, and %.0f %% more or less", 100*poorLimit))
	c.circle("own", scaleLeft+14, scaleTop+16, 4)
	c.text(scaleLeft+24, scaleTop+20, "small", "start", "held out of the fit")
	c.circle("peer", scaleLeft+14, scaleTop+34, 4)
	c.text(scaleLeft+24, scaleTop+38, "small", "start", "fitted to")

	middle := scaleBars + scaleNames + scaleBarLen
	c.text(right+40, 22, "title", "start", "Error of the prediction at the points held out")
	y := scaleTop + 6
	for _, p := range m.all {
		if !p.HeldOut {
			continue
		}
		e := m.model.CPU.Predict(p.Point)/p.CPU - 1
		wide := min(math.Abs(e)/scaleFull, 1) * scaleBarLen
		c.text(right+40, y+12, "small", "start", p.String())
		if e < 0 {
			c.bar("own", middle-wide, y+3, wide, 12)
			c.text(middle-wide-4, y+13, "small", "end", fmt.Sprintf("%.0f %%", 100*e))
		} else {
			c.bar("own", middle, y+3, wide, 12)
			c.text(middle+wide+4, y+13, "small", "start", fmt.Sprintf("+%.0f %%", 100*e))
		}
		y += scaleRow
	}
	c.line("axis", middle, scaleTop, middle, y)
	c.text(right+40, y+18, "small", "start", "left: it costs more than predicted; right: less")
	return c.done(max(bottom+66, y+30), "Measured against predicted CPU of a packet")
}
