package main

import (
	"fmt"
)

// Measures of the bar chart, in pixels.
const (
	barWidth  = 760.0
	barLeft   = 210.0 // where bars begin; names stand left of it
	barRight  = 150.0 // kept for figures
	barRow    = 28.0
	barHeight = 16.0
	barPanel  = 46.0 // above and below the rows of a panel
)

// barChart draws the median rate and CPU of each, with a line from the smallest
// to the largest run.
func barChart(all []series) []byte {
	c := &canvas{width: barWidth}
	y := 0.0
	y = c.panel(y, "Delivered, 1,000 records/s", all, func(r sample) float64 { return r.Rate / 1e3 })
	y = c.panel(y, "CPU of the process in the middle, µs/record", all, sample.cpu)
	return c.done(y, "Rate and CPU of Sluice and its peers")
}

func (c *canvas) panel(y float64, title string, all []series, of func(sample) float64) float64 {
	most := 0.0
	for _, s := range all {
		most = max(most, summarize(s.Runs, of).Max)
	}
	c.text(8, y+24, "title", "start", title)
	y += barPanel - 8
	top := y
	scale := (barWidth - barLeft - barRight) / max(most, 1e-9)
	for _, s := range all {
		middle := y + barRow/2
		c.text(barLeft-8, middle+4, "", "end", s.Title)
		if len(s.Runs) == 0 {
			c.text(barLeft+6, middle+4, "small", "start", "not measured: "+shorten(oneLine(s.reason())))
		} else {
			v := summarize(s.Runs, of)
			c.bar(classOf(s.Name), barLeft, middle-barHeight/2, v.Median*scale, barHeight)
			c.line("range", barLeft+v.Min*scale, middle, barLeft+v.Max*scale, middle)
			text := figure(v.Median)
			if v.N > 1 {
				text = fmt.Sprintf("%s (%s–%s)", text, figure(v.Min), figure(v.Max))
			}
			c.text(barLeft+v.Max*scale+8, middle+4, "small", "start", text)
		}
		y += barRow
	}
	c.line("axis", barLeft, top, barLeft, y)
	return y + 8
}

func shorten(s string) string {
	if runes := []rune(s); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return s
}
