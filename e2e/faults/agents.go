package faults

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sluice/e2e/harness"
	"sluice/e2e/oracle"
	"sluice/e2e/plain"
	"sluice/e2e/relay"
	"sluice/internal/process"
)

// agentsKilled is C10: agents that are real processes die with packets open.
func agentsKilled(r *harness.Run) {
	s := r.Start(harness.Options{})
	r.Load(harness.Mixed())
	r.AwaitAcked(harness.MinAcked)
	was := measure(r)
	theirs := 0
	r.Each(func(i int) {
		const each, enough = 2, 1000
		var procs []*process.Process
		var books []*oracle.Book
		var journals []string
		for k := range 2 * each {
			kind := "client"
			if k >= each {
				kind = "plain"
			}
			book := s.Oracle.NewBook()
			books = append(books, book)
			journals = append(journals, r.Path(fmt.Sprintf("journal-%d-%d", i, k)))
			procs = append(procs, r.Helper(fmt.Sprintf("agent-%d", k), "agent", "--kind", kind, "--to", s.Distributors[0].Addr,
				"--number", strconv.Itoa(book.Agent), "--rate", "1500", "--journal", journals[k]))
		}
		for _, path := range journals {
			r.Await("the agents that are to die have sent enough", func() bool {
				text, err := os.ReadFile(path)
				return err == nil && bytes.Count(text, []byte("a")) > enough
			})
		}
		for _, p := range procs {
			if !p.Alive() {
				r.Fail("%s ended by itself:\n%s", p.Name, p.Tail(5))
			}
			p.Kill()
		}
		r.Fired()
		for k, b := range books {
			n, err := b.Replay(journals[k])
			r.Must(err)
			theirs += n
		}
		awaitBaseline(r, was)
	})
	r.See("the dead had %d acknowledged; abandoned %d", theirs, r.Stats(0).Abandoned)
}

// connectionChurn is C11. Slots of the distributor's sessions are reused all
// the time while answers are late, so that an answer to the wrong one would
// show: as an ACK of more than was sent, as one on a connection that sent
// nothing, or as an ACK of what no receipts hold.
func connectionChurn(r *harness.Run) {
	s := r.Start(harness.Options{AnalyzerArgs: []string{"--delay", "30ms"}, Env: steady()})
	r.Load(harness.Load{Clients: 2, Plain: 2, Rate: 1000})
	r.AwaitAcked(harness.MinAcked)
	was := measure(r)
	c := &churn{addr: s.Distributors[0].Addr, most: 160}
	const workers, rate, batch = 100, 1000, 20_000
	var wg sync.WaitGroup
	stop := make(chan struct{})
	began := time.Now()
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
	r.Each(func(i int) {
		r.Await("answers", func() bool { return c.answered.Load() >= int64(batch*(i+1)) })
		r.Fired()
	})
	close(stop)
	wg.Wait()
	r.See("%d answers on %d connections (%.0f/s, %d left early, %d silent); misrouted 0", c.answered.Load(), c.conns.Load(),
		float64(c.conns.Load())/time.Since(began).Seconds(), c.early.Load(), c.silent.Load())
	if c.silent.Load() == 0 || c.early.Load() == 0 {
		r.Invalid("%d connections left early and %d were silent", c.early.Load(), c.silent.Load())
	}
	awaitBaseline(r, was)
}

// churn counts connections of each kind. Safe for concurrent use.
type churn struct {
	addr                           string
	most                           int // packets on a connection
	conns, answered, early, silent atomic.Int64
}

// connection is one short life: it waits for its answers, leaves without
// waiting, or only listens.
func (c *churn) connection(book *oracle.Book) error {
	w, err := plain.Dial(c.addr, harness.Patience)
	if err != nil {
		return err
	}
	c.conns.Add(1)
	kind := rand.IntN(10)
	rst := rand.IntN(2) == 0
	defer func() { w.Close(rst) }()
	if kind == 0 {
		c.silent.Add(1)
		return nothingComes(w, 50*time.Millisecond)
	}
	ids := make([]int, 1+rand.IntN(c.most))
	for i := range ids {
		ids[i] = book.Issue()
	}
	err = w.Send(book.Agent, ids...)
	if kind < 4 || err != nil {
		c.early.Add(1)
		for _, n := range ids {
			book.Forget(n)
		}
		return err
	}
	for done := 0; done < len(ids); {
		ack, nacked, code, err := w.Next()
		if err == nil && nacked[0] > 0 {
			err = fmt.Errorf("NACK code %d of frames %v", code, nacked)
		}
		if err != nil {
			for _, n := range ids[done:] {
				book.Forget(n)
			}
			return err
		}
		for ; done < ack; done++ {
			book.Acked(ids[done])
			c.answered.Add(1)
		}
	}
	return nil
}

// nothingComes says what came where nothing may.
func nothingComes(w *plain.Wire, within time.Duration) error {
	if err := w.Conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	got := make([]byte, 64)
	n, err := w.Conn.Read(got)
	switch {
	case n > 0:
		return fmt.Errorf("misrouted: %x came where nothing was due", got[:n])
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	}
	return err
}

// agentsCutOff is C17: nothing passes between agents and distributor for long,
// while windows fill up; then every connection breaks.
func agentsCutOff(r *harness.Run) {
	cut := 5 * time.Second
	if r.Long {
		cut = time.Minute
	}
	s := r.Start(harness.Options{AgentRelay: true, Env: steady()})
	r.Load(harness.Load{Clients: 4, Plain: 2, Rate: 15_000})
	r.AwaitAcked(50_000) // memory has grown to what this load needs
	was := measure(r)
	path := s.AgentRelays[0]
	full, grown := 0, 0
	r.Each(func(int) {
		path.Set(relay.Mode{Hole: [2]bool{true, true}})
		time.Sleep(cut)
		if full = max(full, s.Oracle.Open()); s.Oracle.Open() > 6*4096 {
			r.Fired() // more is waiting than all windows hold
		}
		if path.Cut() == 0 {
			r.Invalid("no connection was open at the end of the hole")
		}
		path.Set(relay.Mode{})
		r.SettlesFromNow()
		r.AwaitSettled()
		r.AwaitAcked(s.Oracle.Acked() + harness.MinAcked)
		awaitBaseline(r, was)
		grown = max(grown, held(r).rss-was.rss)
	})
	r.See("cut off for %v with up to %d packets open; memory grew by %d MiB", cut, full, grown>>20)
	if limit := 64 << 20; grown > limit {
		r.Fail("the distributor grew by %d MiB", grown>>20)
	}
}

// sameID is A8. Every sending is answered once, on the connection it came by;
// what is delivered twice so is the agent's own doing.
func sameID(r *harness.Run) {
	s := r.Start(harness.Options{Env: steady()})
	r.Load(harness.Mixed())
	book := s.Oracle.NewBook()
	const batch = 400
	sent := 0
	r.Each(func(int) {
		one, err := plain.Dial(s.Distributors[0].Addr, harness.Patience)
		r.Must(err)
		defer one.Close(false)
		two, err := plain.Dial(s.Distributors[0].Addr, harness.Patience)
		r.Must(err)
		defer two.Close(false)
		var once, twice []int
		for range batch {
			n := book.Issue()
			once, twice = append(once, n), append(twice, n, n)
		}
		r.Must(one.Send(book.Agent, twice...))
		r.Must(two.Send(book.Agent, once...))
		r.Must(ackedUpTo(one, 2*batch))
		r.Must(ackedUpTo(two, batch))
		r.Must(one.Send(book.Agent, once...)) // after their acks
		r.Must(ackedUpTo(one, 3*batch))
		r.Must(nothingComes(one, 100*time.Millisecond))
		r.Must(nothingComes(two, 100*time.Millisecond))
		for _, n := range once {
			book.Acked(n)
		}
		sent += batch
		r.Fired()
		r.AwaitSettled()
	})
	r.See("%d ids sent 4 times each, %d answers, each on its own connection", sent, 4*sent)
	r.BoundIs(3*sent, "sent again by the scenario itself")
}

// ackedUpTo reads answers until frame n is acknowledged. Anything but ACKs that
// rise to n is an error.
func ackedUpTo(w *plain.Wire, n int) error {
	for last := -1; last < n; {
		ack, nacked, code, err := w.Next()
		switch {
		case err != nil:
			return err
		case nacked[0] > 0:
			return fmt.Errorf("NACK code %d of frames %v", code, nacked)
		case ack < last:
			return fmt.Errorf("ACK %d after %d", ack, last)
		}
		last = ack
	}
	return nil
}
