package bench

import (
	"context"
	"sync"
	"testing"

	"sluice/client"
)

const (
	agents = 4
	// warmUp is how many packets each agent sends before the clock runs.
	warmUp = 200
	// batch is how many packets an agent hands in at a time.
	batch = 512
)

// BenchmarkLoopback is the whole over loopback, from four agents by the
// distributor to four analyzers and back: b.N packets until the last outcome.
func BenchmarkLoopback(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.String(), func(b *testing.B) {
			sys := newSystem(b)
			t := newTemplate(b, body(b, s))
			all := make([]*agent, agents)
			for i := range all {
				all[i] = newAgent(b, sys.distributor.Addr().String(), t)
			}
			sys.send(b, all, agents*warmUp)
			b.SetBytes(int64(s.size))
			b.ReportAllocs()
			b.ResetTimer()
			sys.send(b, all, b.N)
			b.StopTimer()
			b.ReportMetric(float64(b.N)*float64(s.messages)/b.Elapsed().Seconds(), "msgs/s")
			var resent uint64
			for _, a := range all {
				resent += a.finish(b)
			}
			b.ReportMetric(float64(resent)/float64(b.N), "resends/op")
			sys.check(b)
		})
	}
}

// send lets the agents send n packets in all, and returns with the last
// outcome of them.
func (s *system) send(b *testing.B, all []*agent, n int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*limit)
	defer cancel()
	var wg sync.WaitGroup
	for i, a := range all {
		share := (n + i) / len(all) // adds up to n
		wg.Go(func() {
			if err := a.send(ctx, uint64(share)); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	s.sent += uint64(n)
}

// agent sends the packets of a template.
type agent struct {
	client *client.Client
	body   *template
	next   uint64 // tag
	end    chan struct{}

	// Written before a packet is handed in, or by outcomes; read after end.
	expected, outcomes, failed uint64
}

func newAgent(b *testing.B, addr string, t *template) *agent {
	b.Helper()
	a := &agent{body: t, end: make(chan struct{}, 1)}
	var err error
	if a.client, err = client.New(client.Config{Addrs: []string{addr}, OnOutcome: a.outcome}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { a.close(b) }) // before that of the system
	return a
}

func (a *agent) outcome(_ uint64, o client.Outcome) {
	if !o.Delivered {
		a.failed++
	}
	if a.outcomes++; a.outcomes == a.expected {
		a.end <- struct{}{}
	}
}

// send hands in n packets and waits for the last outcome.
func (a *agent) send(ctx context.Context, n uint64) error {
	if n == 0 {
		return nil
	}
	a.expected = a.next + n
	for a.next < a.expected {
		k, err := a.client.SendFunc(ctx, int(min(batch, a.expected-a.next)), a.next, a.body.appendTo)
		if err != nil {
			return err
		}
		a.next += uint64(k)
	}
	select {
	case <-a.end:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *agent) close(b *testing.B) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := a.client.Close(ctx); err != nil {
		b.Errorf("close: %v", err)
	}
}

// finish closes the agent, and fails unless each packet was delivered over one
// connection. It returns how many were sent again.
func (a *agent) finish(b *testing.B) uint64 {
	b.Helper()
	a.close(b)
	st := a.client.Stats()
	if a.outcomes != a.next || a.failed != 0 || st.Delivered != a.next || st.Connects != 1 {
		b.Fatalf("handed in %d, %d outcomes, %d failed; %+v", a.next, a.outcomes, a.failed, st)
	}
	return st.Resends
}
