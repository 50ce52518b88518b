package faults

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	"sluice/e2e/harness"
)

// capacity is what the analyzers of the overload rows take in a second, all
// together: far below what the machine can do, so that the analyzers are what
// is short and not the processors.
const capacity = 10_000

// limited starts a distributor before two analyzers that take no more than
// capacity, with so small a byte budget that there soon is a shortage.
func limited(r *harness.Run, env map[string]string) *harness.System {
	all := steady()
	all["BYTE_BUDGET"] = "8MiB"
	maps.Copy(all, env)
	s := r.Start(harness.Options{Weights: []float64{}, Fakes: []harness.Misbehaviour{harness.Honest, harness.Honest}, Env: all})
	pace(s, capacity)
	return s
}

// pace divides what all analyzers together take; 0: no limit.
func pace(s *harness.System, rate float64) {
	for _, a := range s.Analyzers {
		a.Fake.Pace(rate / float64(len(s.Analyzers)))
	}
}

// filling is how long it takes until the budget is full and packets wait as long
// as they will: until then agents are answered less than they send, whatever
// is fair.
const filling = 4 * time.Second

// measured is what the analyzers really take when there is always something to
// take and never a refusal: two agents whose windows fit into the budget.
func measured(r *harness.Run) float64 {
	c := r.Beside(harness.Load{Clients: 2})
	defer c.Stop()
	c.Rate(time.Second)
	rate := c.Rate(2 * time.Second)
	if n := c.Busy(); n > 0 || rate < capacity/2 {
		r.Invalid("the capacity was measured as %.0f packets/s with %d refusals", rate, n)
	}
	return rate
}

// part is what must be left of a rate: what docs/ACCEPTANCE.md says in the long
// form; in the short one the machine may be busy with the rows beside it.
func part(r *harness.Run, long float64) float64 {
	if r.Long {
		return long
	}
	return long - 0.2
}

// span is a time that is long in the long form.
func span(r *harness.Run, short, long time.Duration) time.Duration {
	if r.Long {
		return long
	}
	return short
}

// tripled is B1: agents offer three times what the analyzers take. They are as
// many as it takes to fill the byte budget, each well-behaved.
func tripled(r *harness.Run) {
	s := limited(r, nil)
	can := measured(r)
	r.Load(harness.Load{Clients: 24, Rate: 3 * capacity})
	p := s.Distributors[0].Process()
	r.Each(func(int) {
		r.AckRate(filling)
		before := r.Stats(0)
		curve := r.Watch(span(r, 100*time.Millisecond, time.Second), p.RSS)
		got := r.AckRate(span(r, 6*time.Second, 2*time.Minute))
		curve.Stop()
		after := r.Stats(0)
		r.Fired()
		busy, delivered := after.Rejected["busy"]-before.Rejected["busy"], after.Delivered-before.Delivered
		r.See("goodput %.1f %% of %.0f/s; a refusal for every %.1f deliveries; memory %s", 100*got/can, can, float64(delivered)/float64(max(busy, 1)), curve.MiB())
		if got < part(r, 0.9)*can {
			r.Fail("%.0f packets/s of %.0f were acknowledged under three times the load", got, can)
		}
		if busy == 0 {
			r.Invalid("nobody was refused, so it was no overload")
		}
		if busy > 2*delivered {
			r.Fail("%d refusals for %d deliveries: a resend storm", busy, delivered)
		}
		flat(r, curve)
		pace(s, 0)
	})
}

// flat fails if memory is still growing in the last third of a curve.
func flat(r *harness.Run, c *harness.Curve) {
	const slack = 8 << 20
	if was, is := c.Part(0.33, 0.67), c.Part(0.67, 1); is > 1.05*was+slack {
		r.Fail("memory grew from %.0f to %.0f MiB over the last two thirds", was/(1<<20), is/(1<<20))
	}
}

// tenTimesSlower is B2: all analyzers take a tenth for a while, and then as much
// as before.
func tenTimesSlower(r *harness.Run) {
	s := limited(r, nil)
	r.Load(harness.Load{Clients: 24, Rate: capacity * 8 / 10})
	p := s.Distributors[0].Process()
	r.AckRate(time.Second)
	curve := r.Watch(200*time.Millisecond, p.RSS)
	var recovered longest
	held, refusals := uint64(0), 0.0
	r.Each(func(int) {
		normal := r.AckRate(2 * time.Second)
		before := r.Stats(0)
		r.Fired()
		pace(s, capacity/10)
		slow := span(r, 5*time.Second, 20*time.Second)
		for began := time.Now(); time.Since(began) < slow; time.Sleep(50 * time.Millisecond) {
			st := r.Stats(0)
			held = max(held, st.Queued+st.InFlight)
		}
		after := r.Stats(0)
		// Each packet that is offered may be refused once a round trip, and
		// refused ones wait: so there is no more of them than of the offered.
		offered := normal * slow.Seconds()
		busy := float64(after.Rejected["busy"] - before.Rejected["busy"])
		if refusals = max(refusals, busy/offered); busy > 2*offered {
			r.Fail("%.0f refusals while %.0f packets were offered: a resend storm", busy, offered)
		}
		pace(s, capacity)
		r.SettlesFromNow()
		began := time.Now()
		for r.AckRate(500*time.Millisecond) < 0.95*normal {
			if time.Since(began) > harness.Patience {
				r.Fail("%v after the recovery goodput is not back at %.0f packets/s", harness.Patience, normal)
				break
			}
		}
		recovered.add(time.Since(began))
	})
	curve.Stop()
	r.See("goodput was back at 95 %% within %v (limit 10 s); at most %d packets held; %.2f refusals for each packet offered; memory %s", recovered, held, refusals, curve.MiB())
	if limit := longest(span(r, 20*time.Second, 10*time.Second)); recovered > limit {
		r.Fail("goodput was back after %v", recovered)
	}
	flat(r, curve)
}

// rudeNeighbours is B3: senders that ignore their credit and never read, ten
// times as much as the good ones send.
func rudeNeighbours(r *harness.Run) {
	s := limited(r, nil)
	good := r.Beside(harness.Load{Clients: 6, Plain: 2, Rate: capacity * 4 / 10})
	defer good.Stop()
	good.Rate(time.Second)
	least := 1.0
	r.Each(func(i int) {
		over := span(r, 4*time.Second, 20*time.Second)
		alone := good.Rate(over / 2)
		before := r.Stats(0)
		rude := r.Loadgen("rude", "--rude", "-c", "4", "-r", strconv.Itoa(4*capacity), "--addr", s.Distributors[0].Addr, "-d", (over + filling).String())
		good.Rate(filling)
		got := good.Rate(over) / alone
		_, report := rude.Wait()
		after := r.Stats(0)
		busy, hungUp := after.Rejected["busy"]-before.Rejected["busy"], after.HungUp-before.HungUp
		if least = min(least, got); got < part(r, 0.9) {
			r.Fail("beside senders without manners %.0f %% of the goodput was left", 100*got)
		}
		if busy+hungUp > 0 && report.Written > uint64(capacity) {
			r.Fired()
		}
		r.See("%d packets written against the window: %d answered busy, %d connections closed", report.Written, busy, hungUp)
	})
	r.See("the neighbours kept %.1f %%, and heard busy %d times", 100*least, good.Busy())
}

// greedyAgent is X5: ten agents share the capacity; nine of them send
// less than their part, and one offers ten times its part. First it keeps to its
// credit, which is what holds it; then it does not, and is told busy.
func greedyAgent(r *harness.Run) {
	s := limited(r, map[string]string{"BYTE_BUDGET": "6MiB", "MAX_FRAME_BYTES": "64KiB"})
	const agents, offered = 10, capacity
	good := r.Beside(harness.Load{Clients: agents - 1, Rate: (agents - 1) * capacity / agents * 95 / 100})
	defer good.Stop()
	good.Rate(time.Second)
	over := span(r, 5*time.Second, 30*time.Second)
	r.Each(func(int) {
		alone := good.Rate(over)
		beside := func(manners string, had func() int) float64 {
			good.Rate(filling)
			busy, got := good.Busy(), had()
			left := good.Rate(over) / alone
			rate := float64(had()-got) / over.Seconds()
			r.See("beside one that %s the others kept %.1f %% and heard busy %d times; it offered %d/s and had %.0f/s", manners, 100*left, good.Busy()-busy, offered, rate)
			if left < part(r, 0.9) {
				r.Fail("beside a greedy agent that %s the others kept %.0f %% of what they had alone", manners, 100*left)
			}
			return rate
		}
		greedy := r.Beside(harness.Load{Plain: 1, Rate: offered})
		held := beside("keeps to its credit", greedy.Acked) < offered/2 || greedy.Busy() > 0
		greedy.Stop()

		delivered := func() int { return int(r.Stats(0).Delivered) - good.Acked() }
		before := r.Stats(0)
		rude := r.Loadgen("rude", "--rude", "-c", "1", "-r", strconv.Itoa(offered), "--addr", s.Distributors[0].Addr, "-d", (over + filling + 2*time.Second).String())
		beside("does not", delivered)
		rude.Wait()
		after := r.Stats(0)
		busy, hungUp := after.Rejected["busy"]-before.Rejected["busy"], after.HungUp-before.HungUp
		r.See("it was told busy %d times and hung up on %d times", busy, hungUp)
		if held && busy+hungUp > 0 {
			r.Fired()
		}
	})
}

func mib(bytes int) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
