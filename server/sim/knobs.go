package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// knobs are what a seed draws for its world. Immutable once the world is built.
type knobs struct {
	chaos   time.Duration // length of the first phase
	packets int           // that are made in it
	settled int           // that are made in the second one, for the shares
	core    dispatch.Config
	weights []float64

	distributors, loops, agents, submitters int

	epoch     time.Duration // what the clocks of distributors begin with
	slowStart time.Duration
	grace     time.Duration
	turnCost  time.Duration // of a distributor's thread, for a read of an agent

	flushDelay time.Duration // how late a flush that was put off is, at most
	flushNow   float64       // how often it cannot be put off

	latency, jitter time.Duration
	rate            int
	slices          []int
	capacities      []int

	perFrame   []time.Duration // of each analyzer
	ackDelay   time.Duration
	sinkFrames int // window of an analyzer
	sinkLater  int // the same, once the first is used up
	sinkBytes  int

	letterBytes int
	sizes       []int // of text, by class
	large       float64
	burst       int
	rudeShare   float64

	kinds [faultKinds]bool // that may strike
	every time.Duration    // between faults, about
}

func oneOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// drawKnobs draws a world. Each seed gets its own subset of faults, because a
// world in which everything fails at once tests little (swarm testing: Groce
// et al., ISSTA 2012).
func drawKnobs(r *rand.Rand) knobs {
	k := knobs{
		chaos:        time.Duration(4+r.IntN(22)) * time.Second,
		packets:      oneOf(r, 1000, 3000, 10_000, 30_000),
		settled:      4000,
		weights:      make([]float64, 2+r.IntN(4)),
		distributors: 1 + r.IntN(3),
		loops:        1 + r.IntN(2),
		agents:       2 + r.IntN(19),
		submitters:   r.IntN(4),
		slowStart:    oneOf(r, 0, 2*time.Second, 10*time.Second),
		grace:        oneOf(r, 500*time.Millisecond, 500*time.Millisecond, 3*time.Second, 25*time.Second),
		turnCost:     oneOf(r, 0, 0, time.Microsecond, time.Millisecond),
		latency:      oneOf(r, 50*time.Microsecond, time.Millisecond, 20*time.Millisecond),
		rate:         oneOf(r, 0, 0, 1<<20, 100<<20),
		slices:       oneOf(r, []int{1 << 20}, []int{1 << 20, 1448}, []int{1 << 20, 1448, 37, 5}),
		capacities:   oneOf(r, []int{1 << 20}, []int{1 << 20, 64 << 10, 4 << 10}),
		ackDelay:     oneOf(r, 0, time.Millisecond, 20*time.Millisecond),
		sinkFrames:   oneOf(r, 4096, 32768),
		sinkLater:    oneOf(r, 64, 4096, 32768),
		sinkBytes:    oneOf(r, 4<<20, 8<<20),
		letterBytes:  oneOf(r, 20_000, 1<<20, 1<<30),
		large:        oneOf(r, 0, 0.002, 0.05),
		burst:        oneOf(r, 1, 20, 400),
		rudeShare:    oneOf(r, 0, 0.3, 0.6),
		every:        time.Duration(50+r.IntN(1500)) * time.Millisecond,
	}
	k.flushDelay, k.flushNow = oneOf(r, 0, 100*time.Microsecond, 2*time.Millisecond), oneOf(r, 0, 0.05, 0.5)
	k.jitter = oneOf(r, 0, k.latency, 10*k.latency)
	for i := range k.weights {
		k.weights[i] = float64(1 + r.IntN(10))
		k.perFrame = append(k.perFrame, oneOf(r, 0, 0, 20*time.Microsecond, 200*time.Microsecond))
	}
	if r.IntN(6) == 0 {
		k.weights[1] = 0
	}
	if r.IntN(8) == 0 { // milliseconds in 32 bits wrap during the run
		k.epoch = (1<<32)*time.Millisecond - time.Duration(r.IntN(20))*time.Second
	}
	k.drawCore(r)
	if r.IntN(4) == 0 {
		// Next to no places: each refused burst waits up to a second.
		k.core.LinkWindowFrames, k.core.MaxQueueFrames = 16, oneOf(r, 1, 20)
		k.packets, k.settled = 1000, 1000
	}
	k.sizes = []int{0, 0, 30, 200, 3000}
	if big := k.core.MaxFrame - 200; r.IntN(3) == 0 {
		k.sizes = append(k.sizes, min(big, 300_000))
	} else {
		k.sizes = append(k.sizes, min(big, 10_000))
	}
	share := oneOf(r, 0.15, 0.4, 0.8)
	for i := range k.kinds {
		k.kinds[i] = r.Float64() < share
	}
	return k
}

// drawCore draws the limits of the cores. Small ones are met sooner.
func (k *knobs) drawCore(r *rand.Rand) {
	c := dispatch.Defaults()
	c.MaxFrame = oneOf(r, 4<<10, 64<<10, 1<<20)
	c.SessionWindowFrames = oneOf(r, 64, 1024, 4096)
	c.SessionWindowBytes = oneOf(r, 1<<20, 4<<20)
	c.LinkWindowFrames = oneOf(r, 64, 1024, 32768)
	c.LinkWindowBytes = max(c.MaxFrame+protocol.HeaderSize, oneOf(r, 64<<10, 8<<20))
	c.HandOverMin = oneOf(r, 1, 16, 256)
	c.HandOverFactor = oneOf(r, 1, 2, 8)
	c.ProbationFrames = oneOf(r, 1, 64)
	c.MaxQueueFrames = oneOf(r, 200, 1000, 5000)
	c.ByteBudget = oneOf[int64](r, 16<<20, 256<<20)
	if c.MaxFrame < 256<<10 && r.IntN(3) == 0 {
		c.ByteBudget = 4 << 20 // a chunk for each stage, and little more
	}
	c.MaxRetries = oneOf(r, 0, 1, 2, 5)
	c.RetryDelay = oneOf(r, 50*time.Millisecond, 500*time.Millisecond)
	c.QueueTimeout = oneOf(r, time.Second, 5*time.Second, 60*time.Second)
	c.Silence = oneOf(r, 400*time.Millisecond, time.Second)
	c.PingAfter = c.Silence / 4
	c.AckTimeout = oneOf(r, 2*time.Second, 10*time.Second)
	c.HealthCheck = oneOf(r, 500*time.Millisecond, 5*time.Second)
	c.Handshake = oneOf(r, time.Second, 5*time.Second)
	c.SpillAfter = oneOf(r, 50*time.Millisecond, 200*time.Millisecond, 800*time.Millisecond)
	c.PartialFrame = oneOf(r, time.Second, 10*time.Second)
	c.WriteStall = oneOf(r, 2*time.Second, 30*time.Second)
	c.Idle = oneOf(r, 0, 2*time.Second, time.Minute)
	c.IdlePlain = oneOf(r, 0, 0, 3*time.Second)
	c.IdleAnswer = oneOf(r, time.Second, 10*time.Second)
	c.Strict = r.IntN(6) == 0
	c.Route = oneOf(r, dispatch.RouteWeighted, dispatch.RouteWeighted, dispatch.RouteWeighted, dispatch.RouteWeighted,
		dispatch.RouteAgent, dispatch.RoutePacket)
	k.core = c
}

// layPath gives a path the qualities of a good day.
func (k *knobs) layPath(w *World, p *path) {
	p.latency, p.jitter, p.rate, p.hole = k.latency/2+w.upTo(k.latency), k.jitter, k.rate, 0
	p.slice, p.capacity = oneOf(w.rng, k.slices...), oneOf(w.rng, k.capacities...)
}

// drawClass draws the size of a packet.
func (k *knobs) drawClass(w *World) uint8 {
	n := len(k.sizes)
	if k.large > 0 && w.chance(k.large) {
		return uint8(n - 1 - w.intN(2))
	}
	return uint8(w.intN(n - 2))
}

func (k *knobs) String() string {
	var kinds []string
	for i, on := range k.kinds {
		if on {
			kinds = append(kinds, faultKind(i).String())
		}
	}
	return fmt.Sprintf("chaos %v, %d packets, %d distributors x %d loops, weights %v, %d agents, %d submitters, slow start %v, grace %v, latency %v+%v, rate %d, slices %v, capacities %v, per frame %v, ack delay %v, burst %d, letters %d, core %+v, a fault each %v of %v",
		k.chaos, k.packets, k.distributors, k.loops, k.weights, k.agents, k.submitters, k.slowStart, k.grace, k.latency, k.jitter,
		k.rate, k.slices, k.capacities, k.perFrame, k.ackDelay, k.burst, k.letterBytes, k.core, k.every, kinds)
}
