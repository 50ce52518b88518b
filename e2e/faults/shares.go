package faults

import (
	"math"
	"time"

	"sluice/e2e/harness"
)

// measureShares sends n packets while nothing changes and returns how far an
// analyzer's part of them is from its weight, in percent of all. Nothing is in
// flight at the begin or at the end, so the receipts count it exactly.
func measureShares(r *harness.Run, n int) (off float64) {
	r.Quiesce()
	var weights float64
	weight := make([]float64, len(r.S.Analyzers))
	before := make([]int, len(r.S.Analyzers))
	for i, st := range r.Stats(0).Analyzers {
		a := r.S.Analyzers[i]
		switch before[i] = a.Delivered(); {
		case st.EffectiveWeight != nil:
			weight[i] = *st.EffectiveWeight
		case st.State == "up":
			weight[i] = a.Weight
		}
		weights += weight[i]
	}
	acked := r.S.Oracle.Acked()
	spilled := r.Stats(0).Spilled
	r.Resume()
	r.AwaitAcked(acked + n)
	r.Quiesce()
	total := r.S.Oracle.Acked() - acked
	for i, a := range r.S.Analyzers {
		got := a.Delivered() - before[i]
		d := 100 * math.Abs(float64(got)/float64(total)-weight[i]/weights)
		if off = max(off, d); d > 0.1 {
			r.Fail("%s received %d of %d, %.3f %% off its weight of %g in %g; %d spilled", a.Name, got, total, d, weight[i], weights, r.Stats(0).Spilled-spilled)
		}
	}
	r.Resume()
	return off
}

// steady are settings under which only a fault moves packets: a starved
// machine is not a slow analyzer.
func steady() map[string]string {
	return map[string]string{"SPILL_AFTER": "30", "SILENCE": "10", "ACK_TIMEOUT": "30"}
}

// sharesHold is C23: an analyzer dies, and between its death and its return,
// and after that, the shares are exact.
func sharesHold(r *harness.Run) {
	s := r.Start(harness.Options{Env: steady()})
	r.Load(harness.Load{Clients: 4, Plain: 2, Rate: 8000})
	var worst float64
	r.Each(func(i int) {
		a := s.Analyzers[i%len(s.Analyzers)]
		a.Kill()
		r.Fired()
		r.AwaitDown(a)
		r.AwaitSettled()
		worst = max(worst, measureShares(r, 10_000))
		r.Must(a.Start())
		r.AwaitUp(a)
		worst = max(worst, measureShares(r, 10_000))
	})
	r.See("shares within %.3f %% of all", worst)
}

// killedAtFullLoad is E2: over the ten seconds after the kill the
// throughput is 80 % of before, and then the others' shares are 40, 20, 10 of
// 70. What other programs took of the machine is allowed for both times.
func killedAtFullLoad(r *harness.Run) {
	s := r.Start(harness.Options{Env: map[string]string{"SPILL_AFTER": "30"}})
	r.Load(harness.Full())
	a := s.Analyzers[1]
	least, raw, worst, fastest := math.Inf(1), math.Inf(1), 0.0, 0.0
	r.Each(func(int) {
		before, wasOurs := r.FullRate(5 * time.Second)
		r.SettlesFromNow()
		a.Kill()
		r.Fired()
		after, isOurs := r.FullRate(10 * time.Second)
		r.AwaitSettled()
		part := after / isOurs / (before / wasOurs)
		fastest, least, raw = max(fastest, before), min(least, part), min(raw, after/before)
		if part < holds {
			r.Fail("%.0f packets/s in the 10 s after the kill with %.0f %% of the machine, %.0f before with %.0f %%", after, 100*isOurs, before, 100*wasOurs)
		}
		worst = max(worst, measureShares(r, 100_000))
		r.Must(a.Start())
		r.AwaitUp(a)
	})
	r.See("up to %.0f packets/s before; in the 10 s after at least %.0f %% of it, or %.0f %% when what others took of the machine is allowed for; shares within %.3f %% of all",
		fastest, 100*raw, 100*least, worst)
}

// frozenAtFullLoad is E5: the analyzer with 40 % of the weight stops
// answering, and the others' throughput dips no longer than the silence limit.
// A dip is a quarter of a second with less than half of what they had.
func frozenAtFullLoad(r *harness.Run) {
	s := r.Start(harness.Options{})
	r.Load(harness.Full())
	a := s.Analyzers[0]
	var dipped longest
	r.Each(func(int) {
		before := r.Rate(a, 2*time.Second)
		r.SettlesFromNow()
		a.Freeze()
		r.Fired()
		dipped.add(dip(r, a, before, 4*time.Second))
		r.AwaitSettled()
		a.Thaw()
		r.AwaitUp(a)
	})
	const silence = time.Second
	r.See("the others were below half of before for at most %v (limit %v)", dipped, silence)
	if dipped > longest(silence+2*dipWindow) {
		r.Fail("the others' throughput dipped for %v, the silence limit is %v", dipped, silence)
	}
}

const dipWindow = 250 * time.Millisecond

// dip returns the longest time during which the other analyzers received less
// than half of before, judged over a window that moves.
func dip(r *harness.Run, a *harness.Analyzer, before float64, over time.Duration) time.Duration {
	const step = 10 * time.Millisecond
	type sample struct {
		at time.Time
		n  int
	}
	var samples []sample
	var worst time.Duration
	began := time.Now()
	low := time.Time{} // since when
	for time.Since(began) < over {
		now := sample{time.Now(), r.S.Delivered(a)}
		samples = append(samples, now)
		for now.at.Sub(samples[0].at) > dipWindow {
			samples = samples[1:]
		}
		first := samples[0]
		switch span := now.at.Sub(first.at); {
		case span < dipWindow-2*step:
		case float64(now.n-first.n)/span.Seconds() >= before/2:
			low = time.Time{}
		case low.IsZero():
			low = first.at
		default:
			worst = max(worst, now.at.Sub(low))
		}
		time.Sleep(step)
	}
	return worst
}
