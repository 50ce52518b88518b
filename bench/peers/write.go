package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write writes the reports that were asked for.
func (c *compareCmd) write(o *outcome) error {
	var errs []error
	file := func(name string, text []byte) {
		if name != "" {
			errs = append(errs, os.WriteFile(name, text, 0o644))
		}
	}
	text := o.markdown()
	if c.Markdown == "" {
		fmt.Print(text)
	}
	file(c.Markdown, []byte(text))
	if c.SVG != "" && len(o.Throughput) > 0 {
		file(c.SVG, barChart(o.Throughput))
	}
	if c.SVG != "" && len(o.Latency) > 0 {
		file(strings.TrimSuffix(c.SVG, filepath.Ext(c.SVG))+"-latency.svg", curveChart(o.Latency))
	}
	if c.JSON != "" {
		object, err := json.MarshalIndent(o, "", "  ")
		errs = append(errs, err)
		file(c.JSON, append(object, '\n'))
	}
	for _, b := range o.Baseline {
		fmt.Fprintln(os.Stderr, b)
	}
	for _, v := range o.Verdicts {
		mark := "kept  "
		if !v.Kept {
			mark = "missed"
		}
		fmt.Fprintln(os.Stderr, mark, v)
	}
	return errors.Join(errs...)
}
