package faults

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/e2e/harness"
)

// idleAgents is X2. There are two distributors before the same
// analyzers; thousands of idle agents, in a process of their own, are connected
// to one of them. A hundred active agents are measured with either in turn.
func idleAgents(r *harness.Run) {
	idle, pairs := 3000, 3
	if r.Long {
		idle, pairs = 10_000, 15
	}
	s := r.Start(harness.Options{Distributors: 2, Env: steady()})
	r.Load(harness.Load{Clients: 2, Rate: 300})
	r.AwaitAcked(harness.MinAcked)
	d := s.Distributors[0]
	active := func(at *harness.Distributor) float64 {
		return good(r, "-c", "100", "-r", "10000", "-d", "1.5", "--addr", at.Addr)
	}
	active(d) // buffers that a hundred active agents need anyway
	r.Each(func(int) {
		was, sessions := value(r, d.Process().RSS), r.Stats(0).Sessions
		crowd := r.Helper("idle", "idle", "--to", d.Addr, "--count", strconv.Itoa(idle))
		r.Await("they are all connected", func() bool { return int(r.Stats(0).Sessions-sessions) >= idle })
		grown := value(r, d.Process().RSS) - was
		var among, alone []float64
		for range pairs {
			among, alone = append(among, active(d)), append(alone, active(s.Distributors[1]))
		}
		if n := int(r.Stats(0).Sessions - sessions); n >= idle && crowd.Alive() {
			r.Fired()
		}
		ratio := median(among) / median(alone)
		r.See("%d idle agents: memory grew by %s (limit 64 MiB); p99 of 100 active ones %.2f ms among them, %.2f ms alone: %.2f× (limit 2×; medians of %d)",
			idle, mib(grown), median(among), median(alone), ratio, pairs)
		if grown > 64<<20 {
			r.Fail("%d idle agents cost %s", idle, mib(grown))
		}
		worse(r, "among idle agents", median(among), median(alone))
		crowd.Kill()
		r.Await("they are gone", func() bool { return r.Stats(0).Sessions <= sessions })
	})
}

// worse fails if a p99 in milliseconds is over twice another. In the short form
// a few figures of a busy machine say little: only what is far off counts.
func worse(r *harness.Run, what string, is, was float64) {
	limit := 2 * was
	if !r.Long {
		limit = 10*was + 100
	}
	if is > limit {
		r.Fail("%s p99 is %.2f ms, and %.2f ms without", what, is, was)
	}
}

// good runs loadgen, which must see no error, and returns its p99 in
// milliseconds.
func good(r *harness.Run, args ...string) float64 {
	code, report := r.Loadgen("good", args...).Wait()
	if code != 0 || report.Failed+report.Busy+report.Resends+report.Reconnects > 0 {
		r.Fail("a good agent's run ended with %d: %d packets failed, %d busy, %d resends, %d reconnects", code, report.Failed, report.Busy, report.Resends, report.Reconnects)
	}
	return report.Latency.P99
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// badNeighbours is X3: a good agent at 50,000 packets a second beside
// one that ignores its credit, and beside one that never finishes a frame. The
// same noise goes to the good agent's distributor and to a second one in turn:
// either way the machine has it.
func badNeighbours(r *harness.Run) {
	pairs, seconds := 2, "1.5"
	if r.Long {
		pairs, seconds = 7, "5"
	}
	s := r.Start(harness.Options{Distributors: 2, Env: steady()})
	r.Load(harness.Load{Clients: 2, Rate: 300})
	r.AwaitAcked(harness.MinAcked)
	noises := [][]string{{"--rude", "-c", "10", "-r", "100000"}, {"--slowloris", "-c", "200"}}
	r.Each(func(int) {
		for _, noise := range noises {
			var p99 [2][]float64
			for range pairs {
				for at, d := range s.Distributors {
					loud := r.Loadgen("loud", append(noise, "-d", "60", "--addr", d.Addr)...)
					time.Sleep(300 * time.Millisecond)
					p99[at] = append(p99[at], good(r, "-c", "1", "-r", "50000", "-d", seconds, "--addr", s.Distributors[0].Addr))
					if !loud.Alive() {
						r.Invalid("the noise ended early:\n%s", loud.Tail(5))
					}
					loud.Interrupt()
					loud.Wait()
				}
			}
			what := strings.TrimPrefix(noise[0], "--")
			is, was := median(p99[0]), median(p99[1])
			r.See("beside %s p99 is %.2f ms, and %.2f ms with the same noise elsewhere: %.2f× (limit 2×; medians of %d)", what, is, was, is/was, pairs)
			worse(r, "beside "+what, is, was)
		}
		r.Fired()
	})
}

// steadyChurn is X4: connections come and go under load for long, and
// nothing grows.
func steadyChurn(r *harness.Run) {
	s := limited(r, map[string]string{"BYTE_BUDGET": "64MiB"})
	const rate, workers = 100, 20
	r.Load(harness.Load{Clients: 4, Plain: 2, Rate: capacity*7/10 - 500}) // the rest is the churn's
	r.AwaitAcked(harness.MinAcked)
	d := s.Distributors[0]
	was := measure(r)
	p := d.Process()
	r.Each(func(int) {
		over := max(20*time.Second, r.Left())
		c := &churn{addr: d.Addr, most: 10}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range workers {
			book := s.Oracle.NewBook()
			wg.Go(func() {
				for tick := time.NewTicker(workers * time.Second / rate); ; {
					select {
					case <-stop:
						tick.Stop()
						return
					case <-tick.C:
						if err := c.connection(book); err != nil {
							book.Fault("%v", err)
						}
					}
				}
			})
		}
		every := over / 200
		names := []string{"descriptors", "threads", "memory"}
		reads := []func() (int, error){p.Descriptors, p.Threads, p.RSS}
		var curves []*harness.Curve
		for _, read := range reads {
			curves = append(curves, r.Watch(every, read))
		}
		time.Sleep(over)
		for _, c := range curves {
			c.Stop()
		}
		close(stop)
		wg.Wait()
		r.Fired()
		awaitBaseline(r, was)
		r.See("%v, %.0f connections a second", over.Round(time.Second), float64(c.conns.Load())/over.Seconds())
		for i, name := range names {
			grew(r, name, over, curves[i], reads[i])
		}
	})
	r.See("before: %v; at the end: %v", was, held(r))
}

// grew compares the end of a curve with what it was after the first tenth, or
// in the short form, where that is too early, after the first half. The short
// form's last tenth is two seconds, for all of which a busy machine may be
// behind with connections that are closing, so there it is growth only if it is
// still there when the churn is over.
func grew(r *harness.Run, name string, over time.Duration, c *harness.Curve, now func() (int, error)) {
	from, slack := 0.5, map[string]float64{"descriptors": 10, "threads": 4, "memory": 4 << 20}[name]
	if over > time.Minute {
		from = 0.1
	}
	was, is := c.Part(from, from+0.1), c.Part(0.9, 1)
	shown := func(v float64) string {
		if name == "memory" {
			return mib(int(v))
		}
		return fmt.Sprintf("%.0f", v)
	}
	r.See("%s %s, then %s (%+.1f %%) %s", name, shown(was), shown(is), 100*(is/was-1), c.Draw())
	if r.Long {
		slack /= 4
	}
	limit := 1.05*was + slack
	switch {
	case is <= limit:
	case r.Long:
		r.Fail("%s grew from %s to %s", name, shown(was), shown(is))
	default:
		r.AwaitSaying(func() (string, bool) {
			left := float64(value(r, now))
			return fmt.Sprintf("%s grew from %s to %s, and are %s after the churn", name, shown(was), shown(is), shown(left)), left <= limit
		})
	}
}
