package ship

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"sluice/client"
)

// links is the client in use and, for a moment, the one before it. A connection
// that gets old is replaced by a new client for the next address; the old one
// stays until its last answer. So a group of distributors to which one was
// added, or came back, is in balance again after that age, and nothing is sent
// twice for it.
type links struct {
	cfg     Config
	outcome func(uint64, client.Outcome)

	mu      sync.Mutex
	current *client.Client
	shift   int // of the addresses
	until   time.Time
	past    client.Stats // of clients that have ended
	leaving *client.Client
	gone    sync.WaitGroup
	give    context.Context
	stop    context.CancelFunc
}

// newLinks begins at a random address, so that many agents with one list are
// spread over it.
func newLinks(cfg Config, outcome func(uint64, client.Outcome)) (*links, error) {
	l := &links{cfg: cfg, outcome: outcome}
	l.give, l.stop = context.WithCancel(context.Background())
	if len(cfg.Addrs) > 1 {
		l.shift = rand.IntN(len(cfg.Addrs))
	}
	return l, l.dial(time.Now())
}

// dial makes the next client. With l.mu, or before anybody else has l.
func (l *links) dial(now time.Time) error {
	addrs := make([]string, len(l.cfg.Addrs))
	for i := range addrs {
		addrs[i] = l.cfg.Addrs[(i+l.shift)%len(addrs)]
	}
	c, err := client.New(client.Config{
		Addrs: addrs, Hello: true, Agent: l.cfg.Agent, Token: l.cfg.Token, Compression: l.cfg.Compression,
		MaxBuffer: l.cfg.Memory / 2, OnOutcome: l.outcome, Logger: l.cfg.Log,
	})
	if err != nil {
		return err
	}
	l.shift++
	l.current = c
	if age := l.cfg.MaxAge; age > 0 {
		l.until = now.Add(age - rand.N(age/5+1)) // not all agents at once
	}
	return nil
}

// send hands a body to the client in use.
func (l *links) send(ctx context.Context, body []byte, tag uint64) error {
	return l.use().SendBody(ctx, body, tag)
}

func (l *links) use() *client.Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cfg.MaxAge <= 0 || l.leaving != nil {
		return l.current
	}
	now := time.Now()
	if now.Before(l.until) {
		return l.current
	}
	old := l.current
	if err := l.dial(now); err != nil { // it was accepted once, so it is accepted now
		l.cfg.Log.Error("no new connection", "error", err)
		return old
	}
	l.leaving = old
	l.gone.Add(1)
	go func() {
		defer l.gone.Done()
		_ = old.Close(l.give) // what has no answer then is told to its owner
		l.mu.Lock()
		defer l.mu.Unlock()
		l.past = add(l.past, old.Stats())
		l.leaving = nil
	}()
	return l.current
}

func add(a, b client.Stats) client.Stats {
	b.Sent += a.Sent
	b.SentBytes += a.SentBytes
	b.Delivered += a.Delivered
	b.Failed += a.Failed
	b.Busy += a.Busy
	b.Resends += a.Resends
	b.Connects += a.Connects
	b.TimedOut += a.TimedOut
	b.Unsettled += a.Unsettled
	return b
}

// timedOut is how many connections ended because frames did not get through.
func (l *links) timedOut() uint64 { return l.stats().TimedOut }

func (l *links) stats() client.Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.past
	if l.leaving != nil {
		s = add(s, l.leaving.Stats())
	}
	return add(s, l.current.Stats())
}

// close waits for the last answers of all clients.
func (l *links) close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.stop)
	defer stop()
	l.mu.Lock()
	current := l.current
	l.mu.Unlock()
	err := current.Close(ctx)
	l.gone.Wait()
	l.stop()
	return errors.Join(err, ctx.Err())
}
