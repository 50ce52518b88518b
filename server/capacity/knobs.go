package capacity

import "sluice/server/config"

// knob is a value that may be lowered. Immutable.
type knob struct {
	flag  string // without dashes; empty if it has none, and so is always a default
	what  string
	grain int64 // it is lowered to a multiple of this
	field func(*config.Config) value
	show  func(int64) string
}

// value is an integer field of a config.Config, of whatever type.
type value struct {
	get func() int64
	set func(int64)
}

func fieldOf[T int | int64](p *T) value {
	return value{func() int64 { return int64(*p) }, func(v int64) { *p = T(v) }}
}

var (
	connections   = knob{"max-connections", "", 1, func(c *config.Config) value { return fieldOf(&c.MaxConnections) }, showCount}
	budget        = knob{"byte-budget", "", 1 << 20, func(c *config.Config) value { return fieldOf(&c.ByteBudget) }, showSize}
	httpConns     = knob{"", "HTTP connections at a time", 1, func(c *config.Config) value { return fieldOf(&c.HTTPConnections) }, showCount}
	httpBodyBytes = knob{"", "memory for bodies of /ingest", 1 << 20, func(c *config.Config) value { return fieldOf(&c.HTTPBodyBytes) }, showSize}
	linkFrames    = knob{"", "packets in flight of a link", 1, func(c *config.Config) value { return fieldOf(&c.LinkWindowFrames) }, showCount}
)

// step lowers a knob, but not below the floor. Immutable.
type step struct {
	knob
	floor int64
}

// resource is something of which there is not enough for everything. Immutable.
type resource struct {
	limit  int64 // 0: not known
	worst  func(cfg *config.Config, loops int) []Term
	show   func(int64) string
	steps  []step   // in this order, each only as far as needed
	unit   string   // follows an amount
	grain  int64    // what is needed is told in multiples of this
	source string   // where the limit is from
	raise  string   // what to do about it
	others []string // flags that it depends on, besides those of the steps
}

// descriptors are those of the process.
func descriptors(limit int64) resource {
	return resource{
		limit: limit, worst: descriptorsAtWorst, show: showCount,
		unit: "descriptors", grain: 1, source: "ulimit -n, the hard limit", raise: "raise ulimit -n",
		others: []string{"workers", "analyzers"},
		steps:  []step{{connections, 1024}, {httpConns, 256}, {connections, 256}, {httpConns, 32}, {connections, 64}},
	}
}

// memory is lowered in the order in which it is seldom used to the full. The
// byte budget is what a stall of the analyzers is sat out with, so it keeps 64
// MiB while there is anything else to take from.
func memory(cfg *config.Config, loops int, source string) resource {
	raise := "raise --memory-limit"
	if source == fromGo {
		raise = "raise GOMEMLIMIT"
	}
	return resource{
		limit: cfg.MemoryLimit, worst: memoryAtWorst, show: showSize,
		unit: "of memory", grain: 1 << 20, source: source, raise: raise,
		others: []string{"max-body", "max-frame", "max-queue", "workers", "analyzers"},
		steps: []step{
			{connections, 10_000}, {budget, 64 << 20}, {httpBodyBytes, largestRequest(cfg)}, {httpConns, 256},
			{connections, 1024}, {linkFrames, 4096}, {budget, leastBudget(cfg, loops)}, {connections, 64}, {httpConns, 32},
		},
	}
}
