package faults

import (
	"syscall"
	"time"

	"sluice/e2e/harness"
	"sluice/e2e/oracle"
)

// distributorKilled is C7: agents connect again and send again what had no
// answer.
func distributorKilled(r *harness.Run) { killDistributor(r, harness.Mixed()) }

// killedInARow is E4.
func killedInARow(r *harness.Run) {
	killDistributor(r, harness.Load{Clients: 4, Plain: 2, Rate: 12_000})
}

func killDistributor(r *harness.Run, l harness.Load) {
	s := r.Start(harness.Options{})
	r.Load(l)
	var serving longest
	r.Each(func(int) {
		s.Distributors[0].Kill()
		r.Fired()
		began := time.Now()
		r.Must(s.Distributors[0].Start())
		r.SettlesFromNow()
		r.AwaitAcked(s.Oracle.Acked() + 1)
		serving.add(time.Since(began))
	})
	r.See("serving again within %v (limit 5 s)", serving)
	if serving > longest(20*time.Second) {
		r.Fail("it took %v until a packet was acknowledged again", serving)
	}
}

// distributorStopped is F1: everything admitted is settled, nothing arrives
// twice, and it says so with exit code 0.
func distributorStopped(r *harness.Run) {
	s := r.Start(harness.Options{Env: steady()})
	r.Load(harness.Mixed())
	d := s.Distributors[0]
	var took longest
	r.Each(func(int) {
		took.add(stopDistributor(r, d, 0))
		r.Fired()
		r.Must(d.Start())
		r.SettlesFromNow()
	})
	r.See("exit 0 within %v (grace 20 s)", took)
}

// stopDistributor sends SIGTERM and expects an exit code within the grace
// period and a little.
func stopDistributor(r *harness.Run, d *harness.Distributor, want int) time.Duration {
	began := time.Now()
	d.Process().Signal(syscall.SIGTERM)
	code, ended := d.Process().ExitWithin(harness.Patience)
	switch {
	case !ended:
		r.Fail("%s has not ended %v after SIGTERM", d.Name, harness.Patience)
		d.Kill()
	case code != want:
		r.Fail("%s ended with %d after SIGTERM, want %d:\n%s", d.Name, code, want, d.Process().Tail(5))
	}
	return time.Since(began)
}

// stoppedWhileHung is F3, in turn: with one analyzer hung the drain still
// settles everything; with all of them hung the grace period ends it; and a
// second SIGTERM ends it at once.
func stoppedWhileHung(r *harness.Run) {
	const grace = 5 * time.Second
	s := r.Start(harness.Options{Env: map[string]string{"GRACE": "5"}})
	r.Load(harness.Mixed())
	d := s.Distributors[0]
	var one, all, twice longest
	r.Each(func(i int) {
		hung := s.Analyzers
		if i%3 == 0 {
			hung = hung[:1]
		}
		for _, a := range hung {
			a.Freeze()
		}
		acked := s.Oracle.Acked()
		r.Await("packets are open", func() bool { return s.Oracle.Open() > 0 || s.Oracle.Acked() > acked+100 })
		if len(hung) > 1 {
			r.Await("packets are in flight", func() bool { return r.Stats(0).InFlight+r.Stats(0).Queued > 0 })
		}
		r.Fired()
		switch i % 3 {
		case 0:
			one.add(stopDistributor(r, d, 0))
		case 1:
			all.add(stopDistributor(r, d, 1))
		case 2:
			d.Process().Signal(syscall.SIGTERM)
			r.Await("it says that it stops", func() bool { return d.Draining() })
			twice.add(stopDistributor(r, d, 1))
		}
		for _, a := range hung {
			a.Thaw()
		}
		r.Must(d.Start())
		r.SettlesFromNow()
		r.AwaitSettled()
		for _, a := range s.Analyzers {
			r.AwaitUp(a)
		}
	})
	r.See("ended with one hung within %v, with all hung within %v (grace %v), at the second SIGTERM within %v", one, all, grace, twice)
	if all > longest(2*grace+5*time.Second) || twice > longest(grace/2) {
		r.Fail("ended %v after SIGTERM with all hung, %v after the second SIGTERM; the grace period is %v", all, twice, grace)
	}
}

// rollingRestart is F5: three distributors, one after the other, as an update
// does it.
func rollingRestart(r *harness.Run) {
	s := r.Start(harness.Options{Distributors: 3, Env: steady()})
	r.Load(harness.Load{Clients: 6, Plain: 3, Rate: 4500})
	const window = 5 * time.Second
	least := 1.0
	r.Each(func(int) {
		before := r.Rate(nil, window)
		stop := goodput(s.Oracle, window)
		for _, d := range s.Distributors {
			r.SettlesFromNow()
			stopDistributor(r, d, 0)
			r.Must(d.Start())
			r.AwaitSettled()
			for _, a := range s.Analyzers {
				r.AwaitUp(a)
			}
		}
		r.Fired()
		time.Sleep(window)
		if low := stop() / before; low < 0.6 {
			r.Fail("goodput over %v fell to %.0f %%", window, 100*low)
		} else {
			least = min(least, low)
		}
	})
	r.See("goodput over %v never below %.0f %%", window, 100*least)
}

// goodput watches acknowledged packets a second over a moving window; stop
// returns the least.
func goodput(o *oracle.Oracle, window time.Duration) (stop func() float64) {
	const step = 50 * time.Millisecond
	quit, low := make(chan struct{}), make(chan float64)
	go func() {
		ring := []int{o.Acked()}
		times := []time.Time{time.Now()}
		least := -1.0
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				low <- least
				return
			case now := <-tick.C:
				ring, times = append(ring, o.Acked()), append(times, now)
				for now.Sub(times[1]) >= window {
					ring, times = ring[1:], times[1:]
				}
				if span := now.Sub(times[0]); span >= window {
					rate := float64(ring[len(ring)-1]-ring[0]) / span.Seconds()
					if least < 0 || rate < least {
						least = rate
					}
				}
			}
		}
	}()
	return func() float64 { close(quit); return <-low }
}
