package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"sluice/internal/process"
)

// sinks are the four receivers of a run, each a process of its own.
type sinks interface {
	// await returns when all can receive; the program in the middle runs.
	await(ctx context.Context) error
	// counts tells how many records each has received, and when the last came;
	// the time is zero if that is not known.
	counts() (each []uint64, last time.Time, err error)
}

// analyzers are Sluice's own sinks, which look into nothing.
type analyzers struct {
	http []string
	all  []*process.Process
}

func startAnalyzers(ps *process.Group, dir, bin string, addrs, https []string) (*analyzers, error) {
	a := &analyzers{http: https}
	for i, addr := range addrs {
		p, err := ps.Start(dir, sinkName(i), exec.Command(bin+"/analyzer", "--name", sinkName(i),
			"--listen", addr, "--http", https[i], "--discard", "--log-level", "warn"))
		if err != nil {
			return nil, err
		}
		a.all = append(a.all, p)
	}
	return a, nil
}

func (a *analyzers) await(ctx context.Context) error {
	for i, p := range a.all {
		if err := await(ctx, p, func() bool { return listens(a.http[i]) }); err != nil {
			return err
		}
	}
	return nil
}

func (a *analyzers) counts() (each []uint64, last time.Time, err error) {
	for _, addr := range a.http {
		var stats struct {
			Received uint64 `json:"received_packets"`
		}
		if _, err := getJSON("http://"+addr+"/stats", &stats); err != nil {
			return nil, last, err
		}
		each = append(each, stats.Received)
	}
	return each, last, nil
}

// counters are sinks that count records: this program as sinkCmd.
type counters struct {
	all  []*process.Process
	ask  []io.Writer
	hear []*json.Decoder
}

// startCounters starts one for each weight. Lines are taken at addrs, NATS's
// records are fetched from middle.
func startCounters(ps *process.Group, dir string, d dialect, addrs []string, middle string) (*counters, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &counters{}
	for i, addr := range addrs {
		if d == nats {
			addr = middle
		}
		cmd := exec.Command(self, "sink", "--dialect", string(d), "--addr", addr, "--members", fmt.Sprint(weights[i]/10))
		ask, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		hear, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		p, err := ps.Start(dir, sinkName(i), cmd)
		if err != nil {
			return nil, err
		}
		c.all = append(c.all, p)
		c.ask = append(c.ask, ask)
		c.hear = append(c.hear, json.NewDecoder(bufio.NewReader(hear)))
	}
	return c, nil
}

func (c *counters) one(i int) (n count, err error) {
	if _, err = io.WriteString(c.ask[i], "\n"); err == nil {
		err = c.hear[i].Decode(&n)
	}
	if err != nil {
		if ended := c.all[i].Ended(); ended != nil {
			err = ended
		}
	}
	return n, err
}

func (c *counters) await(ctx context.Context) error {
	for i, p := range c.all {
		var failed error
		err := await(ctx, p, func() bool {
			n, err := c.one(i)
			if err == nil && n.Error != "" {
				err = fmt.Errorf("%s: %s", p.Name, n.Error)
			}
			failed = err
			return n.Ready || err != nil
		})
		if err != nil || failed != nil {
			return fmt.Errorf("sinks: %w", first(failed, err))
		}
	}
	return nil
}

// counts leaves out why a sink receives no more: what it lacks is lost, and
// told as that.
func (c *counters) counts() (each []uint64, last time.Time, err error) {
	for i := range c.all {
		n, err := c.one(i)
		if err != nil {
			return nil, last, err
		}
		each = append(each, n.Records)
		if n.Last.After(last) {
			last = n.Last
		}
	}
	return each, last, nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
