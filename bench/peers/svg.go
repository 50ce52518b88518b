package main

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// canvas is an SVG that grows downward. It has no background of its own, and
// its greys and colours have enough contrast on white and on black; where the
// reader's scheme is known, the text follows it.
type canvas struct {
	body  strings.Builder
	width float64
}

const svgStyle = `<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #59636e; }
.title { font-weight: 600; font-size: 14px; }
.small { font-size: 11px; }
.axis { stroke: #8b949e; stroke-width: 1; }
.grid { stroke: #8b949e; stroke-width: 1; stroke-opacity: .25; }
.range { stroke: #59636e; stroke-width: 1.5; }
.own { fill: #1f8a70; stroke: #1f8a70; }
.peer { fill: #8a94a3; stroke: #8a94a3; }
.line { fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #c9d1d9; }
  .range { stroke: #c9d1d9; }
  .own { fill: #3fb68f; stroke: #3fb68f; }
}
</style>
`

func (c *canvas) text(x, y float64, class, anchor, text string) {
	fmt.Fprintf(&c.body, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">`, x, y, class, anchor)
	xml.EscapeText(&c.body, []byte(text)) // into memory, cannot fail
	c.body.WriteString("</text>\n")
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.body, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

func (c *canvas) bar(class string, x, y, w, h float64) {
	fmt.Fprintf(&c.body, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2"/>`+"\n", class, x, y, w, h)
}

func (c *canvas) circle(class string, x, y, r float64) {
	fmt.Fprintf(&c.body, `<circle class="%s" cx="%.1f" cy="%.1f" r="%.1f" fill-opacity=".75"/>`+"\n", class, x, y, r)
}

func (c *canvas) done(height float64, label string) []byte {
	var title strings.Builder
	xml.EscapeText(&title, []byte(label))
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img"><title>%s</title>`+"\n%s%s</svg>\n",
		c.width, height, c.width, height, &title, svgStyle, &c.body)
}

// classOf colours Sluice, and leaves the others grey.
func classOf(name string) string {
	if name == "sluice" {
		return "own"
	}
	return "peer"
}
