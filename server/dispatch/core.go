// Package dispatch decides where every frame goes, with the sockets cut off:
// which analyzer, when, how often, and what its source hears.
//
// A Core belongs to one event loop. Around it stand the agents' wires
// (server/wire), what other goroutines submit (server/intake), and the pump
// (server/pump) that drives all of it:
//
//	BeginTurn(now)
//	Deal, Admit, Submit, Accept / Link.Opened, Receive, Lost / Tick
//	then, until nothing is left: TakeDirtyLinks → Link.NextControl, NextWrite;
//	TakeDoomed → close; TakeEvents → pool and health
//
// It opens no socket, starts no goroutine, reads no clock (time comes in as the
// duration since an epoch of the caller's) and holds no lock, so that it can be
// driven by scripts, by property tests and by a seeded simulator.
//
// The obvious design hands each packet to a queue per analyzer with a goroutine
// behind it. That costs a lock, a wake-up and an allocation per packet, and it
// makes "where is this packet now" a question with many answers. Here a packet
// goes from the read buffer to one link's window in one function, and the window
// is at once output buffer, retransmission buffer and ledger.
package dispatch

import (
	"sync/atomic"
	"time"

	"sluice/protocol"
	"sluice/server/route"
	"sluice/server/stage"
)

// Shared is what the cores of one distributor have in common.
// Safe for concurrent use.
type Shared struct {
	Table    atomic.Pointer[route.Table] // effective weights; one index per analyzer
	Sequence route.Sequence              // of first dispatches
	Budget   stage.Budget                // bytes of chunks, cut frames and unread answers
	places   stage.Places                // frames in the queues of all cores, and reserved places
	rate     atomic.Int64                // frames a second that all cores deliver
	stopping atomic.Bool
}

// Stop tells that a drain is about to begin: turns that are at work on frames
// which cost much end early. Safe for concurrent use.
func (sh *Shared) Stop() { sh.stopping.Store(true) }

// NewShared makes the shared part for the limits of cfg, with an empty table.
func NewShared(cfg Config, analyzers int) *Shared {
	sh := &Shared{}
	sh.ApplyLimits(cfg)
	empty, err := route.NewTable(make([]float64, analyzers))
	if err != nil {
		panic(err) // zero weights are always a valid, empty table
	}
	sh.Table.Store(empty)
	return sh
}

// Queued returns how many frames wait without a link, over all cores.
func (sh *Shared) Queued() int { return sh.places.Taken() }

// Core dispatches the frames of one loop. Owned by one loop.
type Core struct {
	cfg    Config
	shared *Shared
	table  *route.Table // loaded once a turn
	now    time.Duration
	nowMS  uint32 // as entries hold it; wraps after 49 days, which comparisons of the form nowMS-at survive

	sources sources
	parties parties
	active  int     // sources with unsettled frames
	links   []*Link // by analyzer

	pool    *stage.Pool
	hold    stage.Hold      // what waiting frames are copied to
	queue   stage.WaitQueue // waits for any analyzer
	delayed stage.WaitQueue // waits for its time to be tried again; unordered
	nextDue time.Duration   // of delayed, rounded down

	dealing        dealing
	again          uint64 // sequence of this core's own for redispatches and spills
	inspect        *protocol.Inspector
	inflatedBefore uint64 // by inspect, when the source at work began its turn
	scanned        protocol.Scanned
	control        protocol.Control
	refusal        Refusal // what an owner is told; one at a time
	scratch        []byte

	dirtyLinks []*Link
	doomed     []*Link
	events     []LinkEvent

	tickedAt  time.Duration
	nextAge   time.Duration // next look for frames past the queue timeout
	shortage  bool          // places or bytes were short at the beginning of the turn
	neededNow int           // frames that keep the links busy; see credit.go
	pace      deliveryRate
	draining  bool
	count     Counters
}

// New makes a core with a closed link to each of n analyzers.
func New(cfg Config, shared *Shared, n int) *Core {
	pool := stage.NewPool(&shared.Budget)
	c := &Core{cfg: cfg, shared: shared, inspect: protocol.NewInspector(cfg.MaxFrame), pool: pool, hold: stage.NewHold(pool),
		queue: stage.NewWaitQueue(&shared.places), delayed: stage.NewWaitQueue(&shared.places)}
	c.table = shared.Table.Load()
	c.parties.init()
	c.neededNow = cfg.HeldFrames
	c.Grow(n)
	return c
}

// Config returns the limits in force.
func (c *Core) Config() *Config { return &c.cfg }

// Shared returns what the core shares with others.
func (c *Core) Shared() *Shared { return c.shared }

// Now returns the time of the turn.
func (c *Core) Now() time.Duration { return c.now }

// Draining says that nothing new is admitted.
func (c *Core) Draining() bool { return c.draining }

// Interrupted says that a stop waits for this turn to end: a frame that has to be
// inflated should not be looked at any more. Its sender has no answer for it, and
// sends it again elsewhere.
func (c *Core) Interrupted(body []byte) bool {
	return !protocol.IsPlain(body[0]) && c.shared.stopping.Load() && !c.draining
}

// BeginSource begins what one source may cost in this turn; see Postponed.
func (c *Core) BeginSource() { c.inflatedBefore = c.inspect.Inflated() }

// Postponed says that a frame is for a later turn: it has to be inflated, and its
// source has had InflateBytes inflated in this one already. A packet of 149 bytes
// may inflate to a mebibyte; whoever sends a thousand of them should wait for it,
// and not everybody on the loop.
func (c *Core) Postponed(body []byte) bool {
	return !protocol.IsPlain(body[0]) && c.inspect.Inflated()-c.inflatedBefore >= InflateBytes && !c.draining
}

// Links returns the links by analyzer index. The slice is the core's.
func (c *Core) Links() []*Link { return c.links }

// BeginTurn sets the time of the turn and loads the route table. now is the
// time since an epoch that never changes, and never goes back.
func (c *Core) BeginTurn(now time.Duration) {
	c.now, c.nowMS = now, uint32(now/time.Millisecond)
	c.table = c.shared.Table.Load()
	c.shortage = c.shared.short()
}

// TakeDirtyLinks appends to dst the links that have something to write, each
// once, and forgets them. The pump calls NextControl and NextWrite on each whose
// socket has taken everything, and MarkDirty on the others.
func (c *Core) TakeDirtyLinks(dst []*Link) []*Link {
	for _, l := range c.dirtyLinks {
		l.dirty = false
	}
	dst = append(dst, c.dirtyLinks...)
	c.dirtyLinks = c.dirtyLinks[:0]
	return dst
}

// TakeDoomed appends to dst the links whose connections must be closed now.
func (c *Core) TakeDoomed(dst []*Link) []*Link {
	dst = append(dst, c.doomed...)
	c.doomed = c.doomed[:0]
	return dst
}

// TakeEvents appends to dst what happened to links since the last call.
func (c *Core) TakeEvents(dst []LinkEvent) []LinkEvent {
	dst = append(dst, c.events...)
	c.events = c.events[:0]
	return dst
}
