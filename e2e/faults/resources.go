package faults

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"sluice/e2e/harness"
	"sluice/e2e/plain"
)

// fewDescriptors is D1: many more connections than there are descriptors. With
// the limit known at the start, what does not fit is told so; then the limit
// shrinks under the running process, so that accept itself fails.
func fewDescriptors(r *harness.Run) {
	s := r.Start(harness.Options{Env: steady(), By: "ulimit -n 256"})
	good := r.Beside(gentle())
	defer good.Stop()
	r.Load(harness.Load{Clients: 1, Rate: 300})
	d := s.Distributors[0]
	const connections, few = 2000, 100
	var resumed, resumedAfter longest
	r.Each(func(int) {
		was := measure(r)
		conns := crowd(r, d.Addr, connections)
		r.Await("connections are refused", func() bool { return r.Stats(0).Connections.Refused["limit"] > 0 })
		servesOn(r, d, good)
		resumed.add(served(r, d, conns))
		awaitBaseline(r, was)

		open := value(r, d.Process().Descriptors)
		failed := r.Stats(0).Connections.AcceptErrors["descriptors"]
		r.Must(d.Process().LimitDescriptors(open + 8))
		conns = crowd(r, d.Addr, few)
		r.Await("accept fails", func() bool { return r.Stats(0).Connections.AcceptErrors["descriptors"] > failed })
		servesOn(r, d, good)
		resumedAfter.add(served(r, d, conns))
		r.Must(d.Process().LimitDescriptors(256))
		awaitBaseline(r, was)
		r.Fired()
	})
	if n := good.Resends(); n > 0 {
		r.Fail("agents that were there lost their connections: %d packets were sent again", n)
	}
	st := r.Stats(0)
	r.See("%d refused, %d failures of accept; a new agent was served within %v of connections going, within %v after accept had failed (limit 2 s)",
		st.Connections.Refused["limit"], st.Connections.AcceptErrors["descriptors"], resumed, resumedAfter)
	if limit := longest(span(r, 10*time.Second, 2*time.Second)); resumed > limit || resumedAfter > limit {
		r.Fail("served again after %v and %v", resumed, resumedAfter)
	}
}

// crowd opens connections that say nothing.
func crowd(r *harness.Run, addr string, n int) (conns []net.Conn) {
	for range n {
		c, err := net.DialTimeout("tcp", addr, harness.Patience)
		r.Must(err)
		conns = append(conns, c)
	}
	return conns
}

// servesOn fails if the agents that were there before are not served.
func servesOn(r *harness.Run, d *harness.Distributor, good *harness.Crew) {
	if !d.Process().Alive() {
		r.Fail("it ended:\n%s", d.Process().Tail(10))
		return
	}
	n := good.Acked()
	r.Await("agents that were there go on", func() bool { return good.Acked() > n+100 })
}

// served lets the crowd go and returns how soon a new agent has its ACK. One
// that comes too early is refused, and tries again.
func served(r *harness.Run, d *harness.Distributor, crowd []net.Conn) time.Duration {
	for _, c := range crowd {
		c.Close()
	}
	book := r.S.Oracle.NewBook()
	began := time.Now()
	r.Await("a new agent is served", func() bool {
		w, err := plain.Dial(d.Addr, 2*time.Second)
		if err != nil {
			return false
		}
		defer w.Close(false)
		n := book.Issue()
		if err = w.Send(book.Agent, n); err == nil {
			err = ackedUpTo(w, 1)
		}
		if err != nil {
			book.Forget(n)
			return false
		}
		book.Acked(n)
		return true
	})
	return time.Since(began)
}

// tooFewDescriptors is D2.
func tooFewDescriptors(r *harness.Run) {
	r.Start(harness.Options{Env: steady()})
	r.Load(gentle())
	told := ""
	r.Each(func(i int) {
		lowered := r.Server(fmt.Sprintf("lowered-%d", i), "ulimit -n 300", nil)
		r.Await("it is ready", func() bool { return strings.Contains(lowered.Written(), "ready for agents") || !lowered.Alive() })
		if text := lowered.Written(); !lowered.Alive() || !strings.Contains(text, "level=WARN") || !strings.Contains(text, "max-connections: lowered from") {
			r.Fail("with ulimit -n 300 and defaults:\n%s", text)
		}
		lowered.Kill()
		refused := r.Server(fmt.Sprintf("refused-%d", i), "ulimit -n 300", map[string]string{"MAX_CONNECTIONS": "5000"})
		code, ended := refused.ExitWithin(harness.Patience)
		if !ended {
			refused.Kill()
		}
		told = strings.TrimSpace(refused.Written())
		needed := 0
		for _, word := range strings.FieldsFunc(told, func(c rune) bool { return c < '0' || c > '9' }) {
			if n, err := strconv.Atoi(word); err == nil && n > 5000 && n < 10_000 {
				needed = n
			}
		}
		if code != 78 || needed == 0 || !strings.Contains(told, "MAX_CONNECTIONS") {
			r.Fail("MAX_CONNECTIONS=5000 with ulimit -n 300: exit %d, %s", code, told)
		}
		r.Fired()
	})
	r.See("default lowered with a warning; explicit: exit 78: %s", strings.Join(strings.Fields(told), " "))
}

// littleMemory is D3: a memory limit of the kernel's, agents that fill every
// window with large packets, and analyzers that take next to nothing.
func littleMemory(r *harness.Run) {
	const limit, connections = 256 << 20, 1000
	o := harness.Options{Weights: []float64{}, Fakes: []harness.Misbehaviour{harness.Honest, harness.Honest}, Env: steady()}
	group, err := harness.NewCgroup("sluice-d3", limit)
	if err != nil {
		r.See("SKIPPED the kernel's limit, because there is no cgroup to be had (%v): only sampled", err)
		o.Env["MEMORY_LIMIT"] = strconv.Itoa(limit / 5 * 4)
	} else {
		o.By = group.Enter()
		r.Defer(group.Remove)
	}
	s := r.Start(o)
	r.Load(gentle())
	d := s.Distributors[0]
	r.Each(func(int) {
		before := r.Stats(0)
		curve := r.Watch(span(r, 50*time.Millisecond, 500*time.Millisecond), d.Process().RSS)
		pace(s, 400)
		args := []string{"--addr", d.Addr, "--size", "4KiB"}
		polite := r.Loadgen("polite", append(args, "-c", strconv.Itoa(connections*6/10), "-r", "40000", "-d", harness.Patience.String(), "--stall-timeout", "120")...)
		r.Await("all polite agents are connected", func() bool { return int(r.Stats(0).Sessions) > connections*6/10 }) // and the gentle ones
		rude := r.Loadgen("rude", append(args, "-c", strconv.Itoa(connections*4/10), "-r", "20000", "--rude", "-d", span(r, 6*time.Second, 20*time.Second).String())...)
		most := 0
		for rude.Alive() {
			if most = max(most, int(r.Stats(0).Sessions)); !d.Process().Alive() {
				r.Fail("it was killed:\n%s", d.Process().Tail(10))
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		polite.Interrupt()
		pace(s, 0)
		r.SettlesFromNow()
		_, good := polite.Wait()
		rude.Wait()
		curve.Stop()
		busy := r.Stats(0).Rejected["busy"] - before.Rejected["busy"]
		if busy > 0 && most > connections*6/10 { // those that are hung up on come back, so never all are there
			r.Fired()
		}
		r.See("%d connections; %d answers busy; memory %s", most, busy, curve.MiB())
		if good.Failed > 0 {
			r.Fail("%d packets of polite agents failed", good.Failed)
		}
		if curve.Max() > limit {
			r.Fail("memory reached %s", mib(int(curve.Max())))
		}
	})
	if group != nil {
		peak, failed := figure(r, group, "memory.max_usage_in_bytes"), figure(r, group, "memory.failcnt")
		r.See("the kernel counted %s at most, of %s, and %d times the limit", mib(peak), mib(limit), failed)
	}
}

func figure(r *harness.Run, g *harness.Cgroup, name string) int {
	return value(r, func() (int, error) { return g.Figure(name) })
}

// nothingLeft is D7: after a bit of everything, the distributor has as many
// sessions, descriptors and goroutines as before. Every row checks descriptors
// and sessions at its end besides.
func nothingLeft(r *harness.Run) {
	s := r.Start(harness.Options{Env: steady()})
	r.Load(gentle())
	r.AwaitAcked(harness.MinAcked)
	d := s.Distributors[0]
	was := measure(r)
	r.Each(func(i int) {
		for _, args := range [][]string{{"-c", "50", "-n", "5000"}, {"--rude", "-c", "10", "-d", "1"}, {"--slowloris", "-c", "50", "-d", "1"}, {"--storm", "200"}} {
			r.Loadgen("some-of-it", append(args, "--addr", d.Addr)...).Wait()
		}
		r.Loadgen("some-of-it", "--proto", "http", "-c", "50", "-n", "1000", "--addr", d.HTTP).Wait()
		r.Must(many(100, 20, func(k int) error {
			c, err := net.Dial("tcp", d.HTTP)
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"))
			return err
		}))
		r.Must(many(300, 20, func(k int) error { return strange(d.Addr, nil) }))
		awaitBaseline(r, was)
		r.Fired()
	})
	r.See("before: %v; after everything: %v", was, held(r))
}
