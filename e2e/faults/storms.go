package faults

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sluice/e2e/harness"
	"sluice/e2e/relay"
)

// stormOfAgents is B4: all agents are cut off, and back within a second.
func stormOfAgents(r *harness.Run) {
	agents := 2000
	if r.Long {
		agents = 5000
	}
	s := r.Start(harness.Options{Env: steady()})
	r.Load(gentle())
	r.AwaitAcked(harness.MinAcked)
	d := s.Distributors[0]
	was := measure(r)
	var slowest, uneven float64
	most := 0
	r.Each(func(int) {
		storm := r.Loadgen("storm", "--storm", strconv.Itoa(agents), "--addr", d.Addr, "--hello")
		best := 0
		for storm.Alive() {
			counts, err := d.Process().Polled()
			r.Must(err)
			slices.Sort(counts)
			slices.Reverse(counts)
			if len(counts) >= 2 && counts[0]+counts[1] > agents*9/10 { // of two loops, and no longer in the middle of leaving or coming
				best = max(best, counts[0]+counts[1])
				uneven = max(uneven, float64(counts[0])/float64(counts[1]))
			}
			time.Sleep(10 * time.Millisecond)
		}
		code, report := storm.Wait()
		if code != 0 || report.Again.Served != agents {
			r.Fail("%d of %d agents were served; loadgen ended with %d: %v", report.Again.Served, agents, code, report.Again.Trouble)
		}
		most = max(most, best)
		if slowest = max(slowest, report.Again.Elapsed); best > agents*9/10 {
			r.Fired()
		}
		awaitBaseline(r, was)
	})
	r.See("%d agents served within %.1f s (limit 30 s); the loops' counts within %.2f× (limit 1.5×; up to %d at a time seen)", agents, slowest, uneven, most)
	if slowest > 30 || uneven > 1.5 {
		r.Fail("served within %.1f s; one loop had %.2f times as many connections as the other", slowest, uneven)
	}
}

// crowdedHTTP is B5: ten times as many HTTP connections as are served in full.
// A limit of descriptors lowers that number, so that ten times is still
// something that this machine can open.
func crowdedHTTP(r *harness.Run) {
	const served, connections = 256, 2560
	s := r.Start(harness.Options{Env: withConnections(steady(), 256), By: "ulimit -n 650"})
	r.Load(gentle())
	d := s.Distributors[0]
	taken, refused := 0, 0
	r.Each(func(i int) {
		before := r.Stats(0)
		var accepted, unavailable atomic.Int64
		var opened sync.WaitGroup
		opened.Add(connections)
		begin := make(chan struct{})
		go func() { opened.Wait(); close(begin) }()
		r.Must(many(connections, connections, func(k int) error {
			c, err := net.DialTimeout("tcp", d.HTTP, harness.Patience)
			opened.Done()
			if err != nil {
				return err
			}
			defer c.Close()
			<-begin
			code, after, err := ingest(c, fmt.Sprintf("http-%d-%d", i, k))
			switch {
			case err != nil:
				return err
			case code == http.StatusAccepted:
				accepted.Add(1)
			case code == http.StatusServiceUnavailable && after != "":
				unavailable.Add(1)
			default:
				return fmt.Errorf("answered %d, Retry-After %q", code, after)
			}
			return nil
		}))
		if after := r.Stats(0); after.HTTP.Refused["connections"] > before.HTTP.Refused["connections"] && accepted.Load() > 0 {
			r.Fired()
		}
		taken, refused = taken+int(accepted.Load()), refused+int(unavailable.Load())
	})
	r.See("%d connections at a time: %d times 202, %d times 503 with Retry-After, nothing else", connections, taken, refused)
}

// ingest posts a packet over an open connection.
func ingest(c net.Conn, id string) (code int, retryAfter string, err error) {
	if err := c.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
		return 0, "", err
	}
	body := fmt.Sprintf(`{"packet_id":%q,"agent_id":"http","messages":[]}`, id)
	// Whoever is over the limit is told so before it has said anything, so
	// that the write may fail and the answer is there all the same.
	_, wrote := fmt.Fprintf(c, "POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, "", fmt.Errorf("%w (writing: %v)", err, wrote)
	}
	res.Body.Close()
	return res.StatusCode, res.Header.Get("Retry-After"), nil
}

// refusedForLong is D6: an analyzer that takes no connection. Dials come ever
// more seldom, and not in step.
func refusedForLong(r *harness.Run) {
	s := r.Start(harness.Options{Relay: true})
	r.Load(gentle())
	a := s.Analyzers[0]
	r.Each(func(int) {
		over := span(r, 20*time.Second, 10*time.Minute)
		had := len(a.Relay.Refused())
		a.Relay.Set(relay.Mode{Refuse: true})
		a.Relay.Cut()
		r.AwaitDown(a)
		time.Sleep(over)
		dials := a.Relay.Refused()[had:]
		a.Relay.Set(relay.Mode{})
		back := r.AwaitUp(a)
		if len(dials) < 5 {
			r.Fail("%d dials in %v", len(dials), over)
			return
		}
		r.Fired()
		early, late := 0, 0
		var gaps []time.Duration
		for i, t := range dials {
			if since := t.Sub(dials[0]); since < over/4 {
				early++
			} else if since > over*3/4 {
				late++
			}
			if i > 0 {
				gaps = append(gaps, t.Sub(dials[i-1]))
			}
		}
		slices.Sort(gaps)
		perSecond := float64(late) / (over / 4).Seconds()
		r.See("%d dials by 2 loops in %v: %d in the first quarter, %d in the last; gaps up to %v; back after %v", len(dials), over, early, late,
			gaps[len(gaps)-1].Round(10*time.Millisecond), back.Round(10*time.Millisecond))
		if late > early || perSecond > 2 {
			r.Fail("%d dials in the first quarter of %v and %d in the last: they do not back off", early, over, late)
		}
		// In step, gaps would be alike once the pause is at its longest.
		if most, least := gaps[len(gaps)-1], gaps[len(gaps)/2]; float64(most) < 1.1*float64(least) {
			r.Fail("the gaps between dials are all about %v: no jitter", most)
		}
	})
}

func withConnections(env map[string]string, n int) map[string]string {
	env["MAX_CONNECTIONS"] = strconv.Itoa(n)
	return env
}
