package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// commands are what the program does: the comparison, the grid of the scale
// model, and the processes that these start from their own program.
type commands struct {
	Compare   compareCmd   `cmd:"" default:"withargs" help:"Send the same traffic through each contestant in turn (the default)."`
	Scale     scaleCmd     `cmd:"" help:"Measure Sluice over a grid of agents, analyzers, sizes, rates and loops, and fit a model of its cost."`
	Sink      sinkCmd      `cmd:"" hidden:""`
	Send      sendCmd      `cmd:"" hidden:""`
	EmptyHTTP emptyHTTPCmd `cmd:"" hidden:"" name:"empty-http"`
}

// compareCmd measures and writes the reports.
type compareCmd struct {
	Runs       int           `placeholder:"N" help:"Rounds; in each, everything is measured once. Default: 7; with --baseline, 15."`
	Only       []string      `placeholder:"NAME" help:"Measure these alone: sluice, baseline, haproxy, haproxy-16k, nginx, rsyslog, nats. Default: all; with --baseline, sluice and baseline."`
	Baseline   string        `placeholder:"DIR" help:"Folder with server, analyzer and loadgen of an older Sluice. It is measured as a contestant of its own, and the new one is judged by it."`
	Parts      []string      `default:"throughput,latency,ingest" enum:"throughput,latency,ingest" placeholder:"PART" help:"What to measure: throughput, latency, ingest. Default: all three."`
	Duration   time.Duration `default:"5s" help:"How long agents send in a run."`
	Agents     int           `default:"10" help:"Connections that send."`
	Size       int           `default:"200" help:"Bytes of a record."`
	Peak       float64       `placeholder:"N" help:"Packets/s that the latency part calls the peak. Default: Sluice's median of the throughput part."`
	ServerFlag []string      `sep:"none" placeholder:"FLAG" help:"A further flag of Sluice's server, such as --workers=1; may be repeated."`
	Bin        string        `default:"bin" help:"Folder with server, analyzer and loadgen."`
	Work       string        `placeholder:"DIR" help:"Where configurations and logs of the peers go. Default: a temporary folder, removed afterwards."`
	Markdown   string        `placeholder:"FILE" help:"Write tables as Markdown. Default: to standard output."`
	SVG        string        `name:"svg" placeholder:"FILE" help:"Write a bar chart of rate and CPU; with the latency part, the percentile curves beside it as FILE-latency.svg."`
	JSON       string        `name:"json" placeholder:"FILE" help:"Write every single run."`

	weights []int   // of the sinks; nil: the four that peers are compared with
	rate    float64 // packets/s that loadgen sends in the throughput part; 0: as many as possible
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	k := kong.Parse(&commands{}, kong.Name("peers"), kong.Description("Send the same traffic through Sluice and through what one would otherwise put in its place, and compare."))
	k.BindTo(ctx, (*context.Context)(nil))
	err := k.Run()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}
