package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// World is one simulated world. Not safe for concurrent use.
type World struct {
	Seed  uint64
	knobs knobs
	out   io.Writer // of the trace, or nil

	rng      *rand.Rand
	now      time.Duration
	steps    uint64
	hash     uint64
	schedule schedule

	processes []*process
	hosts     []*host
	paths     []*path // by from, to
	oracle    oracle
	faults    faults

	distributors []*distributor
	analyzers    []*analyzer
	agents       []*agent
	submitters   []*submitter

	overfull int // frames by which a queue was above its limit
	deferred int // flushes that waited for more
	lingered int // batches that waited for more
}

// Report is what a run did. Immutable.
type Report struct {
	Seed      uint64
	Hash      uint64 // of every event; equal for equal seeds
	Steps     uint64
	Virtual   time.Duration
	Healing   time.Duration // from the end of the faults until all had settled
	Packets   int           // that were made
	Delivered int           // told to their makers
	Held      int           // 202
	Refused   int           // for ever, by an analyzer
	Forgotten int           // their makers died
	Excused   int           // 202 in the memory of a distributor that crashed
	Twice     int           // receipts beyond the first
	Faults    [faultKinds]int
	Overfull  int // frames by which a queue was above its limit at most: those that came back from links
	Deferred  int // flushes that waited for more to write
	Lingered  int // batches that waited for more to be read with them
	Core      coreTotals
}

// Run lives through the world of a seed. The error is a *Violation, or tells
// of a panic. out gets the trace, unless it is nil.
func Run(seed uint64, out io.Writer) (Report, error) {
	return run(seed, drawKnobs(newRand(seed, 1)), out, (*World).lifetime)
}

func newRand(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

func run(seed uint64, k knobs, out io.Writer, live func(*World)) (r Report, err error) {
	w := &World{Seed: seed, out: out, rng: newRand(seed, 2), hash: 14695981039346656037, knobs: k}
	w.oracle.w = w
	defer func() {
		r = w.report()
		switch p := recover().(type) {
		case nil:
		case *Violation:
			err = p
		default:
			err = fmt.Errorf("at %v, step %d: panic: %v\n%s", w.now, w.steps, p, debug.Stack())
		}
	}()
	w.build()
	live(w)
	return r, nil
}

// lifetime is the two phases of a run.
func (w *World) lifetime() {
	w.tracef("knobs: %v", &w.knobs)
	w.start()
	w.faults.start()
	w.runFor(w.knobs.chaos)
	w.heal()
}

// build makes everybody; start brings them to life.
func (w *World) build() {
	k := &w.knobs
	w.faults.w = w
	for i := range k.weights {
		w.analyzers = append(w.analyzers, newAnalyzer(w, i))
	}
	for i := range k.distributors {
		w.distributors = append(w.distributors, newDistributor(w, i))
	}
	for i := range k.agents {
		w.agents = append(w.agents, newAgent(w, i))
	}
	for i := range k.submitters {
		w.submitters = append(w.submitters, newSubmitter(w, i))
	}
	n := len(w.hosts)
	w.paths = make([]*path, n*n)
	for i := range w.paths {
		w.paths[i] = &path{w: w, from: w.hosts[i/n], to: w.hosts[i%n]}
		k.layPath(w, w.paths[i])
	}
}

func (w *World) start() {
	for _, a := range w.analyzers {
		a.start()
	}
	for _, d := range w.distributors {
		d.start()
	}
	for _, a := range w.agents {
		a.start()
	}
	for _, s := range w.submitters {
		s.start()
	}
}

func (w *World) path(from, to *host) *path { return w.paths[from.index*len(w.hosts)+to.index] }

func (w *World) at(t time.Duration, do func()) {
	if t < w.now {
		panic("an event in the past")
	}
	w.schedule.push(t, do)
}

func (w *World) after(d time.Duration, do func()) { w.schedule.push(w.now+d, do) }

// sampleEvery is how many events lie between two looks at what is too dear to
// be looked at after each.
const sampleEvery = 512

// maxSteps is far beyond what any run should take; fifty thousand is common.
const maxSteps = 10_000_000

// runFor lives through d.
func (w *World) runFor(d time.Duration) { w.runUntil(d, func() bool { return false }) }

// runUntil lives until done says so, which is asked every 100 ms, or through
// d; false means that d was over first.
func (w *World) runUntil(d time.Duration, done func() bool) bool {
	until, ask := w.now+d, w.now
	for len(w.schedule.heap) > 0 && w.schedule.heap[0].at <= until {
		e := w.schedule.pop()
		w.now = e.at
		if e.at >= ask {
			if ask = e.at + 100*time.Millisecond; done() {
				w.at(e.at, e.do)
				return true
			}
		}
		if w.steps++; w.steps > maxSteps {
			w.fail("more than %d events: the world goes in circles", maxSteps)
		}
		w.hash = (w.hash ^ uint64(e.at)) * 1099511628211
		w.hash = (w.hash ^ e.seq) * 1099511628211
		e.do()
		if w.steps%sampleEvery == 0 {
			w.sample()
		}
	}
	w.now = until
	return done()
}

// chance is true with probability p.
func (w *World) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// upTo is a random time below d.
func (w *World) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.rng.Int64N(int64(d)))
}

// between is a random time.
func (w *World) between(least, most time.Duration) time.Duration { return least + w.upTo(most-least) }

func (w *World) intN(n int) int { return w.rng.IntN(n) }

// tracef writes a line of the trace.
func (w *World) tracef(format string, args ...any) {
	if w.out != nil {
		fmt.Fprintf(w.out, "%14v  %s\n", w.now, fmt.Sprintf(format, args...))
	}
}

func (w *World) report() Report {
	o := &w.oracle
	r := Report{Seed: w.Seed, Steps: w.steps, Virtual: w.now, Healing: w.faults.healing, Packets: len(o.packets),
		Delivered: o.delivered, Held: o.held, Refused: o.refused, Forgotten: o.forgotten, Excused: o.excused,
		Twice: o.duplicates, Overfull: w.overfull, Deferred: w.deferred, Lingered: w.lingered, Faults: w.faults.fired, Core: w.totals()}
	r.Hash = w.hash
	for _, n := range []int{r.Packets, r.Delivered, r.Held, r.Refused, r.Forgotten, r.Excused, r.Twice} {
		r.Hash = (r.Hash ^ uint64(n)) * 1099511628211
	}
	return r
}
