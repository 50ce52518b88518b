package faults

import (
	"time"

	"sluice/e2e/harness"
	"sluice/e2e/relay"
	"sluice/protocol"
)

// noFault is C0. The silence limit is long: a starved machine is no fault
// either, and exactly nothing may arrive twice.
func noFault(r *harness.Run) {
	r.Start(harness.Options{Output: true, Env: map[string]string{"SILENCE": "30", "ACK_TIMEOUT": "30", "SPILL_AFTER": "30"}})
	r.Load(harness.Mixed())
	var worst float64
	r.Each(func(int) {
		r.Fired() // it is none, and it cannot miss
		r.AwaitSettled()
		worst = max(worst, measureShares(r, 10_000))
	})
	r.See("shares within %.3f %%", worst)
}

// analyzerKilled is C1: its share moves to the others at once, and back.
func analyzerKilled(r *harness.Run) {
	s := r.Start(harness.Options{Output: true})
	r.Load(harness.Mixed())
	var moved, back longest
	inFlight := 0
	r.Each(func(i int) {
		a := s.Analyzers[i%len(s.Analyzers)]
		before := r.Rate(nil, time.Second)
		inFlight += int(r.Stats(0).Analyzers[a.Index].InFlight)
		r.SettlesFromNow()
		a.Kill()
		r.Fired()
		moved.add(r.AwaitDown(a))
		r.AwaitSettled()
		time.Sleep(time.Second)
		others(r, a, before, time.Second)
		r.Must(a.Start())
		back.add(r.AwaitUp(a))
		had := a.Delivered()
		r.Await("the analyzer that came back receives again", func() bool { return a.Delivered() > had+50 })
	})
	r.See("given up within %v, back at full weight within %v; %d in flight there just before, %d hand-overs failed", moved, back, inFlight, failedAt(r))
}

// failedAt is how many packets were taken back from analyzers.
func failedAt(r *harness.Run) int {
	st := r.Stats(0)
	return st.FailedHandOvers()
}

// analyzerFrozen is C2: a stopped process keeps its connections, and even
// completes new ones.
func analyzerFrozen(r *harness.Run) {
	s := r.Start(harness.Options{})
	silent(r, s, (*harness.Analyzer).Freeze, (*harness.Analyzer).Thaw)
}

// analyzerBlackHoled is C3: nothing passes either way, and nobody is told.
func analyzerBlackHoled(r *harness.Run) {
	s := r.Start(harness.Options{Relay: true})
	silent(r, s,
		func(a *harness.Analyzer) { a.Relay.Set(relay.Mode{Hole: [2]bool{true, true}}) },
		func(a *harness.Analyzer) { a.Relay.Set(relay.Mode{}) })
}

func silent(r *harness.Run, s *harness.System, begin, end func(*harness.Analyzer)) {
	r.Load(harness.Mixed())
	var given, back longest
	inFlight := 0
	r.Each(func(i int) {
		a := s.Analyzers[i%len(s.Analyzers)]
		before := r.Rate(nil, time.Second)
		inFlight += int(r.Stats(0).Analyzers[a.Index].InFlight)
		r.SettlesFromNow()
		begin(a)
		r.Fired()
		given.add(r.AwaitDown(a))
		r.AwaitSettled()
		others(r, a, before, 3*time.Second) // long enough for redials
		end(a)
		back.add(r.AwaitUp(a))
	})
	r.See("given up within %v (limit 1 s), back at full weight within %v; %d in flight there just before, %d hand-overs failed", given, back, inFlight, failedAt(r))
	if limit := longest(5 * time.Second); given > limit {
		r.Fail("given up after %v, the silence limit is 1 s", given)
	}
}

// analyzerSlow is C4: the line to one analyzer carries a hundredth of what it
// did.
func analyzerSlow(r *harness.Run) {
	s := r.Start(harness.Options{Relay: true})
	r.Load(harness.Mixed())
	least := 1.0
	r.Each(func(i int) {
		a := s.Analyzers[i%len(s.Analyzers)]
		before := r.Rate(nil, time.Second)
		const packetBytes = 300
		r.SettlesFromNow()
		a.Relay.Set(relay.Mode{Limit: [2]int{max(200, int(before*a.Weight/100*packetBytes/100)), 0}})
		r.Fired()
		time.Sleep(time.Second)
		least = min(least, others(r, a, before, 2*time.Second))
		a.Relay.Set(relay.Mode{})
		r.AwaitSettled()
		r.AwaitUp(a)
	})
	r.See("the others received at least %.0f %% of all", 100*least)
}

// acksDropped is C16: an analyzer takes all and nobody hears of it. It answers
// PINGs, so only the lack of progress tells.
func acksDropped(r *harness.Run) {
	s := r.Start(harness.Options{Relay: true})
	r.Load(harness.Mixed())
	var given longest
	dropped, most := 0, 0
	r.Each(func(i int) {
		a := s.Analyzers[i%len(s.Analyzers)]
		passed := a.Relay.Passed(relay.Up)
		a.Relay.Set(relay.Mode{Drop: func(w relay.Way, body []byte) bool {
			return w == relay.Down && len(body) > 1 && body[0]&0xf0 == 0x90 && body[1] == byte(protocol.OpAck)
		}})
		given.add(r.AwaitDown(a))
		r.Fired()
		r.AwaitSettled()
		time.Sleep(2 * time.Second) // redials
		in := a.Relay.Passed(relay.Up) - passed
		dropped, most = dropped+in, max(most, in)
		a.Relay.Set(relay.Mode{})
		a.Relay.Cut()
		r.AwaitUp(a)
	})
	r.See("given up within %v (limit 3 s); %d packets passed while ACKs were dropped, at most %d at a time", given, dropped, most)
	// 256 frames a link, or twice what 10 ms brought; 64 for a redial.
	if limit := 4096; most > limit {
		r.Fail("%d packets went to an analyzer that acknowledged none of them, over %d: a storm", most, limit)
	}
}

// flapping is how long an analyzer flaps, each time.
const flapping = 5 * time.Second

// analyzerFlaps is C20: reachable for half a second, and not for another.
func analyzerFlaps(r *harness.Run) {
	s := r.Start(harness.Options{Relay: true})
	r.Load(harness.Mixed())
	most, least := 0, 1.0
	r.Each(func(i int) {
		a := s.Analyzers[i%len(s.Analyzers)]
		before := r.Rate(nil, time.Second)
		had := transitions(r, a)
		first := r.S.Delivered(nil)
		r.SettlesFromNow()
		began := time.Now()
		for on := false; time.Since(began) < flapping; on = !on {
			if on {
				a.Relay.Set(relay.Mode{})
			} else {
				a.Relay.Set(relay.Mode{Refuse: true})
				a.Relay.Cut()
				r.Fired()
			}
			time.Sleep(500 * time.Millisecond)
		}
		rate := float64(r.S.Delivered(nil)-first) / time.Since(began).Seconds()
		if least = min(least, rate/before); rate < holds*before {
			r.Fail("%.0f packets/s while %s flapped, %.0f before", rate, a.Name, before)
		}
		most = max(most, transitions(r, a)-had)
		a.Relay.Set(relay.Mode{})
		r.AwaitSettled()
		r.AwaitUp(a)
	})
	r.See("at most %d transitions in %v of flapping, throughput at least %.0f %%", most, flapping, 100*least)
	if most > 4 {
		r.Fail("%d transitions while the analyzer flapped %d times", most, flapping/time.Second)
	}
}

// transitions counts an analyzer's changes of state.
func transitions(r *harness.Run, a *harness.Analyzer) int {
	n := r.Stats(0).Analyzers[a.Index].Transitions
	if n == nil {
		r.Invalid("this distributor does not count transitions")
		return 0
	}
	return *n
}
