package cost

import (
	"fmt"
	"math"
	"slices"
)

// What bounds a batch. These are limits of the programs, not fitted.
const (
	FrameBytes   = 24        // what a packet has around its body: frame header and its share of control frames
	readBytes    = 256 << 10 // most that a turn reads
	clientBytes  = 64 << 10  // what a busy client writes at once
	windowFrames = 4096      // most unsettled frames of a session
	windowBytes  = 4 << 20   // and most bytes
)

// Measured are the medians at a point.
type Measured struct {
	Point
	CPU   float64 // µs of the distributor for each packet, user and system
	Calls float64 // system calls that read or write, for each packet
	Peak  float64 // largest resident size, MiB
}

// batches is what a loop gets to do at once at a point, derived from the
// limits above.
type batches struct {
	turns float64 // turns of agents for each packet: a wake-up or visit, a read, a share of an ACK
	links float64 // turns of links for each packet: a write, and the read of its ACK
	held  float64 // bytes that all agents may have on their way, in sockets or here
}

// batches derives what is done at once.
//
// A loop that is kept busy finds what a client writes at once, 64 KiB, with each
// look, and reads of all its agents that have something before it writes to the
// links; no more than 256 KiB of each. Where packets come one by one each is a
// turn of its own and a write of its own.
func (p Point) batches() batches {
	frame := float64(p.Size + FrameBytes)
	agents := max(float64(p.Agents)/float64(p.Loops), 1) // of a loop
	b := batches{held: float64(p.Agents) * min(windowFrames*frame, windowBytes)}
	if p.Rate > 0 {
		b.turns, b.links = 1, 1
		b.held = frame
		return b
	}
	b.turns = min(frame/clientBytes, 1)
	pass := max(agents*min(readBytes/frame, windowFrames), 1)
	b.links = min(float64(p.Analyzers), pass) / pass
	return b
}

// Term is an addend of a model: a coefficient in Unit times what a point has of
// it.
type Term struct {
	Name  string
	Unit  string
	Value float64
}

// Fitted is a model of one quantity. Immutable.
type Fitted struct {
	Terms []Term
	row   func(Point) []float64
}

// Predict returns the quantity at a point, in the unit of the measured values.
func (f *Fitted) Predict(p Point) float64 {
	sum := 0.0
	for i, part := range f.row(p) {
		sum += part * f.Terms[i].Value
	}
	return sum
}

// Model is what is known of the cost of a packet. Immutable.
type Model struct {
	CPU   Fitted  // µs for each packet
	Calls Fitted  // for each packet
	Quiet Fitted  // MiB, largest resident size where packets come one by one
	Peak  Fitted  // MiB, the same as fast as it goes
	Cache float64 // bytes on the way at which half of the slower memory's price is paid
}

// Fit fits the model to the points that are not held out.
func Fit(all []Measured) (*Model, error) {
	train := slices.DeleteFunc(slices.Clone(all), func(m Measured) bool { return m.HeldOut })
	m := &Model{}
	var err error
	best := math.Inf(1)
	// The one term that is not linear. Powers of two are as fine as the points
	// can tell.
	for cache := 1 << 20; cache <= 256<<20; cache *= 2 {
		f, sum, ferr := fitTo(train, cpuTerms(), cpuRow(float64(cache)), func(m Measured) float64 { return m.CPU })
		if ferr != nil {
			return nil, fmt.Errorf("CPU: %w", ferr)
		}
		if sum < best {
			best, m.CPU, m.Cache = sum, f, float64(cache)
		}
	}
	if m.Calls, _, err = fitTo(train, callTerms(), callRow, func(m Measured) float64 { return m.Calls }); err != nil {
		return nil, fmt.Errorf("calls: %w", err)
	}
	quiet := slices.DeleteFunc(slices.Clone(train), func(m Measured) bool { return m.Rate == 0 })
	if m.Quiet, _, err = fitTo(quiet, quietTerms(), quietRow, func(m Measured) float64 { return m.Peak }); err != nil {
		return nil, fmt.Errorf("quiet memory: %w", err)
	}
	full := slices.DeleteFunc(slices.Clone(train), func(m Measured) bool { return m.Rate > 0 })
	if m.Peak, _, err = fitTo(full, peakTerms(), peakRow, func(m Measured) float64 { return m.Peak }); err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	return m, nil
}

// fitTo also returns the sum of squares of the relative errors.
func fitTo(train []Measured, terms []Term, row func(Point) []float64, of func(Measured) float64) (Fitted, float64, error) {
	rows, y := make([][]float64, len(train)), make([]float64, len(train))
	for i, m := range train {
		rows[i], y[i] = row(m.Point), of(m)
	}
	x, err := fit(rows, y)
	if err != nil {
		return Fitted{}, 0, err
	}
	sum := 0.0
	for i := range rows {
		e := dot(rows[i], x)/y[i] - 1
		sum += e * e
	}
	for i := range terms {
		terms[i].Value = x[i]
	}
	return Fitted{terms, row}, sum, nil
}

func cpuTerms() []Term {
	return []Term{
		{Name: "a packet: scan, pick, window, settlement", Unit: "µs"},
		{Name: "a byte that stays in the cache: copies by the kernel and one of ours", Unit: "µs/KiB"},
		{Name: "a byte that does not, on top", Unit: "µs/KiB"},
		{Name: "a turn of an agent: wake-up, read, ACK", Unit: "µs"},
		{Name: "a turn of a link: write, read of the ACK", Unit: "µs"},
		{Name: "a byte of a frame that a read cuts, on top: it is put together in a buffer of its session", Unit: "µs/KiB"},
		{Name: "a packet, for each 1,000 busy agents of a loop: sessions that are not in the cache, and refusals", Unit: "µs"},
		{Name: "a packet, for each 32 analyzers", Unit: "µs"},
	}
}

func cpuRow(cache float64) func(Point) []float64 {
	return func(p Point) []float64 {
		b := p.batches()
		frame := float64(p.Size + FrameBytes)
		busy := float64(p.Agents) / float64(p.Loops) / 1000
		if p.Rate > 0 {
			busy = 0 // an agent that waits costs nothing until it sends
		}
		cut := 0.0
		if p.Rate == 0 {
			cut = b.turns // a read ends in one frame; of one of 64 KiB that is all
		}
		kib := frame / 1024
		return []float64{1, kib, kib * b.held / (b.held + cache), b.turns, b.links, kib * cut, busy, float64(p.Analyzers) / 32}
	}
}

func callTerms() []Term {
	return []Term{
		{Name: "a turn of an agent", Unit: "calls"}, {Name: "a turn of a link", Unit: "calls"},
		{Name: "a turn of an agent, for each 1,000 busy agents of a loop: turns are smaller", Unit: "calls"},
		{Name: "a packet that comes alone: nothing shares its ACKs", Unit: "calls"},
	}
}

func callRow(p Point) []float64 {
	b := p.batches()
	if p.Rate > 0 {
		return []float64{b.turns, b.links, 0, 1}
	}
	return []float64{b.turns, b.links, b.turns * float64(p.Agents) / float64(p.Loops) / 1000, 0}
}

func quietTerms() []Term {
	return []Term{{Name: "the program", Unit: "MiB"}, {Name: "a link, one for each analyzer and loop", Unit: "KiB"}, {Name: "an agent", Unit: "KiB"}}
}

func quietRow(p Point) []float64 {
	return []float64{1, float64(p.Analyzers*p.Loops) / 1024, float64(p.Agents) / 1024}
}

func peakTerms() []Term {
	return append(quietTerms(), Term{Name: "a MiB that agents may have on their way, up to 256 MiB of them", Unit: "MiB"})
}

// heldMax is where more that agents could send makes no more difference, in
// MiB: credit follows what the analyzers need.
const heldMax = 256

func peakRow(p Point) []float64 {
	return append(quietRow(p), min(p.batches().held/(1<<20), heldMax))
}

// Errors are the sizes of relative errors.
type Errors struct {
	N             int
	Median, Worst float64 // 0.1: a tenth of what was measured
	At            Point   // of the worst
}

// Judge compares predictions with those of the measured points that keep says.
func Judge(f *Fitted, all []Measured, of func(Measured) float64, keep func(Point) bool) Errors {
	var sizes []float64
	var e Errors
	for _, m := range all {
		if !keep(m.Point) {
			continue
		}
		size := math.Abs(f.Predict(m.Point)/of(m) - 1)
		if sizes = append(sizes, size); size >= e.Worst {
			e.Worst, e.At = size, m.Point
		}
	}
	if e.N = len(sizes); e.N > 0 {
		slices.Sort(sizes)
		e.Median = (sizes[(e.N-1)/2] + sizes[e.N/2]) / 2
	}
	return e
}
