package client

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// capacity of the receiver, in frames a second.
const capacity = 20_000

// The two ways to say when to come again: how long the queue takes, or always
// the same.
func drainTime(queued int) time.Duration { return time.Duration(queued) * time.Second / capacity }
func constant(int) time.Duration         { return 100 * time.Millisecond }

// crowd is a receiver and its clients, which together want three times its
// capacity.
type crowd struct {
	t        *testing.T
	receiver *crowded
	clients  []*Client
	most     []int // of each client's packets, how often one was sent again
	ctx      context.Context
	give     context.CancelFunc
	stop     chan struct{}
	served   sync.WaitGroup
	offered  sync.WaitGroup
}

func newCrowd(t *testing.T, clients, queue, unsettled int, retryAfter func(int) time.Duration) *crowd {
	t.Helper()
	w := &crowd{t: t, stop: make(chan struct{}), most: make([]int, clients)}
	w.receiver = &crowded{queueMax: queue, retryAfter: retryAfter}
	w.receiver.setRate(capacity)
	w.served.Go(func() { w.receiver.serve(w.stop) })
	w.ctx, w.give = context.WithCancel(t.Context())
	for i := range clients {
		c, err := New(Config{Addrs: []string{"crowded"}, Dial: w.receiver.dial, MaxUnsettled: unsettled,
			OnOutcome: func(_ uint64, o Outcome) { w.most[i] = max(w.most[i], o.Resends) }})
		if err != nil {
			t.Fatal(err)
		}
		w.clients = append(w.clients, c)
		w.offered.Go(func() { offer(w.ctx, c, 3*capacity/float64(clients)) })
	}
	return w
}

// run lets time pass, and returns how many frames were served in it.
func (w *crowd) run(span time.Duration) int {
	before := w.receiver.count()
	time.Sleep(span)
	return w.receiver.count() - before
}

// close ends the clients, each packet with its outcome.
func (w *crowd) close() {
	w.give()
	w.offered.Wait()
	for _, c := range w.clients {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		if err := c.Close(ctx); err != nil {
			w.t.Error(err)
		}
		cancel()
	}
	close(w.stop)
	w.served.Wait()
	if n := w.receiver.early; n > 0 {
		w.t.Errorf("%d frames came before their time", n)
	}
}

// TestNoResendStorm: clients that together want three times what the receiver
// can serve keep it at work for at least nine tenths of the time, send few
// packets a second time and none many times, and none before it was asked to.
func TestNoResendStorm(t *testing.T) {
	const span = 10 * time.Second
	for _, tc := range []struct {
		name                      string
		clients, queue, unsettled int
		retryAfter                func(int) time.Duration
		resends                   float64 // for each delivered, at most
		most                      int     // of one packet
	}{
		{"one", 1, 2000, 0, drainTime, 0.05, 5},
		{"ten, told how long the queue takes", 10, 5000, 0, drainTime, 0.05, 5},
		{"ten, told a constant", 10, 5000, 0, constant, 0.05, 5},
		{"a hundred", 100, 5000, 1000, drainTime, 0.1, 10},
		{"five hundred", 500, 5000, 200, drainTime, 0.4, 30},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newCrowd(t, tc.clients, tc.queue, tc.unsettled, tc.retryAfter)
				goodput := w.run(span)
				var resends, delivered uint64
				least := ^uint64(0)
				for _, c := range w.clients {
					s := c.Stats()
					resends += s.Resends
					delivered += s.Delivered
					least = min(least, s.Delivered)
				}
				w.close()
				worst := 0
				for _, m := range w.most {
					worst = max(worst, m)
				}
				full := int(capacity * span.Seconds())
				t.Logf("served %d of %d, %d resends, at most %d of one packet, the last client got %d of %d",
					goodput, full, resends, worst, least, delivered/uint64(tc.clients))
				if goodput < full*9/10 {
					t.Errorf("served %d of %d", goodput, full)
				}
				if float64(resends) > tc.resends*float64(delivered) {
					t.Errorf("%d resends for %d delivered", resends, delivered)
				}
				if mean := delivered / uint64(tc.clients); least < mean/10 {
					t.Errorf("a client got %d, where the mean is %d", least, mean)
				}
				if worst > tc.most {
					t.Errorf("a packet was sent again %d times", worst)
				}
			})
		})
	}
}

// TestRecoveryIsUsed: a receiver that was ten times slower for a while is kept
// at work again within ten seconds of its recovery, without a storm in between.
func TestRecoveryIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCrowd(t, 10, 5000, 0, constant)
		w.run(5 * time.Second)
		resends := func() (n uint64) {
			for _, c := range w.clients {
				n += c.Stats().Resends
			}
			return n
		}
		before := resends()
		w.receiver.setRate(capacity / 10)
		slow := w.run(30 * time.Second)
		again := resends() - before
		w.receiver.setRate(capacity)
		first := w.run(10 * time.Second)
		second := w.run(10 * time.Second)
		w.close()
		t.Logf("ten times slower: served %d of %d, %d resends; then %d and %d of %d in ten seconds",
			slow, 30*capacity/10, again, first, second, 10*capacity)
		if slow < 30*capacity/10*9/10 || int(again) > slow/4 {
			t.Errorf("served %d, %d resends while it was slow", slow, again)
		}
		if second < 10*capacity*95/100 {
			t.Errorf("served %d of %d after ten seconds of recovery", second, 10*capacity)
		}
	})
}
