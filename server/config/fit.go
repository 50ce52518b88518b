package config

import (
	"slices"
	"sort"

	"sluice/internal/machine"
)

// Fit makes a loaded configuration fit the machine. It resolves the memory
// limit, computes the worst case of memory and descriptors, and lowers defaults
// until they fit, with a warning for each in the Report. Values that the user
// gave are never changed: if they do not fit, the error is an *Errors that says
// what is needed. What nobody could tell of the machine limits nothing.
func Fit(cfg Config, report Report, facts machine.Facts) (Config, Report, error) {
	if report.Help || report.Version {
		return cfg, report, nil
	}
	f := fitter{cfg: cfg, loops: max(cfg.Workers, 1), report: &report}
	if cfg.Workers == 0 {
		f.loops = max(facts.CPUs, 1)
	}
	if f.cfg.HTTPBodyBytes == 0 {
		f.cfg.HTTPBodyBytes = httpBodies * int64(cfg.MaxBody)
	}
	report.Settings = append([]Setting(nil), report.Settings...)
	f.resolveMemory(facts)
	presets := f.cfg
	f.fit(resource{
		limit: facts.Descriptors, worst: descriptorsAtWorst, show: showCount,
		unit: "descriptors", grain: 1, source: "ulimit -n, the hard limit", raise: "raise ulimit -n",
		others: []string{"workers", "analyzers"},
		steps:  []step{{connections, 1024}, {httpConns, 256}, {connections, 256}, {httpConns, 32}, {connections, 64}},
	})
	f.fit(resource{
		limit: f.cfg.MemoryLimit, worst: memoryAtWorst, show: showSize,
		unit: "of memory", grain: 1 << 20, source: f.memorySource(facts), raise: "raise --memory-limit",
		others: []string{"max-body", "max-frame", "max-queue", "workers", "analyzers"},
		// What is seldom used to the full goes first. The byte budget is what a
		// stall of the analyzers is sat out with, so it keeps 64 MiB while
		// there is anything else to take from.
		steps: []step{
			{connections, 10_000}, {budget, 64 << 20}, {httpBodyBytes, largestRequest(&cfg)}, {httpConns, 256},
			{connections, 1024}, {linkFrames, 4096}, {budget, leastBudget(&cfg, f.loops)}, {connections, 64}, {httpConns, 32},
		},
	})
	f.warn(&presets)
	report.Memory, report.MemoryLimit = memoryAtWorst(&f.cfg, f.loops), f.cfg.MemoryLimit
	report.Descriptors, report.DescriptorLimit = descriptorsAtWorst(&f.cfg, f.loops), facts.Descriptors
	if len(f.faults) > 0 {
		return f.cfg, report, &Errors{Faults: f.faults}
	}
	return f.cfg, report, nil
}

// knob is a value that may be lowered. Immutable.
type knob struct {
	flag  string // without dashes; empty if it has none, and so is always a default
	what  string
	grain int64 // it is lowered to a multiple of this
	field func(*Config) value
	show  func(int64) string
}

// value is an integer field of a Config, of whatever type.
type value struct {
	get func() int64
	set func(int64)
}

func fieldOf[T int | int64](p *T) value {
	return value{func() int64 { return int64(*p) }, func(v int64) { *p = T(v) }}
}

var (
	connections   = knob{"max-connections", "", 1, func(c *Config) value { return fieldOf(&c.MaxConnections) }, showCount}
	budget        = knob{"byte-budget", "", 1 << 20, func(c *Config) value { return fieldOf(&c.ByteBudget) }, showSize}
	httpConns     = knob{"", "HTTP connections at a time", 1, func(c *Config) value { return fieldOf(&c.HTTPConnections) }, showCount}
	httpBodyBytes = knob{"", "memory for bodies of /ingest", 1 << 20, func(c *Config) value { return fieldOf(&c.HTTPBodyBytes) }, showSize}
	linkFrames    = knob{"", "packets in flight of a link", 1, func(c *Config) value { return fieldOf(&c.LinkWindowFrames) }, showCount}
)

// step lowers a knob, but not below the floor. Immutable.
type step struct {
	knob
	floor int64
}

// resource is something of which there is not enough for everything. Immutable.
type resource struct {
	limit  int64 // 0: not known
	worst  func(cfg *Config, loops int) []Term
	show   func(int64) string
	steps  []step   // in this order, each only as far as needed
	unit   string   // follows an amount
	grain  int64    // what is needed is told in multiples of this
	source string   // where the limit is from
	raise  string   // what to do about it
	others []string // flags that it depends on, besides those of the steps
}

// fitter is one call of Fit. Owned by it.
type fitter struct {
	cfg    Config
	loops  int
	report *Report
	faults []Fault
	why    []lowered
}

// lowered says for which resource a knob was lowered.
type lowered struct {
	knob
	resource
}

func (f *fitter) fit(r resource) {
	if r.limit <= 0 {
		return
	}
	fits := func() bool { return sum(r.worst(&f.cfg, f.loops)) <= r.limit }
	for _, s := range r.steps {
		if fits() {
			return
		}
		v := s.field(&f.cfg)
		from := v.get()
		if f.given(s.flag) || from <= s.floor {
			continue
		}
		// The largest value that fits, in grains above the floor.
		grains := (from - s.floor) / s.grain
		k := sort.Search(int(grains)+1, func(i int) bool {
			v.set(s.floor + (grains-int64(i))*s.grain)
			return fits()
		})
		v.set(s.floor + max(grains-int64(k), 0)*s.grain)
		f.why = append(f.why, lowered{s.knob, r})
	}
	if !fits() {
		f.refuse(r)
	}
}

// given says whether the user gave a setting; a value without a flag is never.
func (f *fitter) given(flag string) bool {
	i := f.setting(flag)
	return i >= 0 && f.report.Settings[i].Origin != originDefault
}

func (f *fitter) setting(flag string) int {
	return slices.IndexFunc(f.report.Settings, func(s Setting) bool { return s.Flag == flag })
}
