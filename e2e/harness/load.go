package harness

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sluice/client"
	"sluice/e2e/oracle"
	"sluice/e2e/plain"
	"sluice/protocol"
)

// Load says what agents send.
type Load struct {
	Clients int // agents of package client, every other one without HELLO
	Plain   int // hand-rolled ones
	Rate    int // packets a second in all; 0: as fast as answers allow
}

// Mixed is the load of scenarios about faults: enough to have packets on every
// link all the time, and little enough to leave a busy machine its breath.
func Mixed() Load { return Load{Clients: 4, Plain: 2, Rate: 4000} }

// Full is as much as the machine can do.
func Full() Load { return Load{Clients: 4, Plain: 2} }

// agent is one sender with its book.
type agent interface {
	Send(n int) bool // false: not taken, because the agent is closing
	Close(ctx context.Context) error
	Busy() int    // answers busy or unavailable
	Resends() int // packets sent again because their connection was lost
}

// clientAgent is an agent of package client.
type clientAgent struct {
	book *oracle.Book
	c    *client.Client
	ctx  context.Context
	stop context.CancelFunc
}

// NewClient starts an agent of package client.
func NewClient(addrs []string, book *oracle.Book, hello bool) (*clientAgent, error) {
	a := &clientAgent{book: book}
	a.ctx, a.stop = context.WithCancel(context.Background())
	var err error
	a.c, err = client.New(client.Config{Addrs: addrs, Hello: hello, Agent: fmt.Sprintf("agent-%d", book.Agent),
		MaxBackoff: time.Second, OnOutcome: func(tag uint64, o client.Outcome) {
			switch {
			case o.Delivered:
				book.Acked(int(tag))
			case o.Code == 0: // its Close gave up, and says so
				book.Forget(int(tag))
			default:
				book.Refused(int(tag), fmt.Sprintf("%s %s", o.Code, o.Text))
			}
		}})
	return a, err
}

func (a *clientAgent) Send(n int) bool {
	p := oracle.PacketOf(a.book.Agent, n)
	_, err := a.c.SendFunc(a.ctx, 1, uint64(n), func(dst []byte, _ uint64) []byte { return protocol.AppendPacket(dst, &p) })
	return err == nil
}

func (a *clientAgent) Close(ctx context.Context) error {
	a.stop()
	return a.c.Close(ctx)
}

func (a *clientAgent) Busy() int { return int(a.c.Stats().Busy) }

// Resends takes off what was answered busy or unavailable: that is sent again
// too, and was never delivered.
func (a *clientAgent) Resends() int {
	s := a.c.Stats()
	return max(0, int(s.Resends)-int(s.Busy))
}

// crew are the agents that run, and what paces them.
type crew struct {
	agents []agent
	books  []*oracle.Book
	stop   chan struct{}
	done   sync.WaitGroup

	mu     sync.Mutex
	paused chan struct{} // nil: not paused; closed by Resume
}

// start runs the agents of a load.
func startCrew(o *oracle.Oracle, l Load, addrs []string) (*crew, error) {
	c := &crew{stop: make(chan struct{})}
	type worker struct {
		agent
		*oracle.Book
	}
	var workers []worker
	for i := range l.Clients + l.Plain {
		book := o.NewBook()
		// Each begins with an address of its own, so that several distributors
		// share the agents.
		k := i % len(addrs)
		mine := append(append([]string(nil), addrs[k:]...), addrs[:k]...)
		if i >= l.Clients {
			workers = append(workers, worker{plain.New(mine, book), book})
			continue
		}
		a, err := NewClient(mine, book, i%2 == 0)
		if err != nil {
			return nil, err
		}
		workers = append(workers, worker{a, book})
	}
	for _, w := range workers {
		c.agents, c.books = append(c.agents, w.agent), append(c.books, w.Book)
		c.done.Go(func() { c.send(w.agent, w.Book, float64(l.Rate)/float64(len(workers))) })
	}
	return c, nil
}

// paceEvery is how often a paced agent looks how much is due.
const paceEvery = 5 * time.Millisecond

// send issues packets until the crew stops. A paced agent that was blocked
// does not make up for more than a quarter of a second.
func (c *crew) send(a agent, b *oracle.Book, rate float64) {
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	due, last := 0.0, time.Now()
	for c.running() {
		n := 256
		if rate > 0 {
			<-tick.C
			now := time.Now()
			due = min(due+rate*now.Sub(last).Seconds(), rate/4)
			last = now
			n = int(due)
			due -= float64(n)
		}
		for range n {
			p := b.Issue()
			if !a.Send(p) {
				b.Withdraw(p)
				return
			}
		}
	}
}

// running waits while the crew is paused; false: it stops.
func (c *crew) running() bool {
	c.mu.Lock()
	paused := c.paused
	c.mu.Unlock()
	if paused != nil {
		select {
		case <-paused:
		case <-c.stop:
		}
	}
	select {
	case <-c.stop:
		return false
	default:
		return true
	}
}

func (c *crew) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused == nil {
		c.paused = make(chan struct{})
	}
}

func (c *crew) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused != nil {
		close(c.paused)
		c.paused = nil
	}
}

// close stops sending and waits until every packet has its answer.
func (c *crew) close(ctx context.Context) error {
	close(c.stop)
	var wg sync.WaitGroup
	errs := make([]error, len(c.agents))
	for i, a := range c.agents {
		wg.Go(func() { errs[i] = a.Close(ctx) })
	}
	wg.Wait()
	c.done.Wait()
	return errors.Join(errs...)
}

func (c *crew) resends() (n int) {
	for _, a := range c.agents {
		n += a.Resends()
	}
	return n
}
