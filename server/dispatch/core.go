// Package dispatch is the whole distributor with the sockets cut off:
// sessions, stages, windows, acknowledgement, retry and drain.
//
// A Core belongs to one event loop. The loop feeds it bytes and events, and
// writes out what it staged:
//
//	BeginTurn(now)
//	Receive(session, bytes) / ReceiveLink(link, bytes) / SessionLost / LinkLost / Submit / Tick
//	then, until nothing is left: TakeDirtyLinks → NextControl, NextWrite;
//	TakeDirtySessions → NextAnswers; TakeDoomed → close; TakeEvents → pool and health
//
// It opens no socket, starts no goroutine, reads no clock (time comes in as
// the duration since an epoch of the caller's) and holds no lock, so that it
// can be driven by scripts, by property tests and by a seeded simulator.
//
// The obvious design hands each packet to a queue per analyzer with a
// goroutine behind it. That costs a lock, a wake-up and an allocation per
// packet, and it makes "where is this packet now" a question with many
// answers. Here a packet goes from the read buffer to the stage of one link
// in one function, and the stage is at once output buffer, retransmission
// buffer and ledger.
package dispatch

import (
	"sync/atomic"
	"time"

	"sluice/protocol"
	"sluice/server/route"
)

// Shared is what the cores of one distributor have in common.
// Safe for concurrent use.
type Shared struct {
	Table     atomic.Pointer[route.Table] // effective weights; one index per analyzer
	Sequence  route.Sequence              // of first dispatches
	queued    atomic.Int64                // frames in the queues of all cores, and reserved places
	maxQueued atomic.Int64
	rate      atomic.Int64 // frames a second that all cores deliver
	budget    budget
}

// NewShared makes the shared part for the limits of cfg, with an empty table.
func NewShared(cfg Config, analyzers int) *Shared {
	sh := &Shared{}
	sh.Obey(cfg)
	empty, err := route.NewTable(make([]float64, analyzers))
	if err != nil {
		panic(err) // zero weights are always a valid, empty table
	}
	sh.Table.Store(empty)
	return sh
}

// Queued returns how many frames wait without a link, over all cores.
func (sh *Shared) Queued() int { return int(sh.queued.Load()) }

// BytesInUse returns how much of the byte budget is charged.
func (sh *Shared) BytesInUse() int64 { return sh.budget.used.Load() }

// LinkEvent says what has become of a link.
type LinkEvent struct {
	Link   *Link
	Change LinkChange
	Reason string // why it drains, is suspect or was lost
}

// LinkChange is a step in the life of a link.
type LinkChange uint8

// The changes. A ready link may become suspect and well again any number of
// times; it drains or not, is lost, and may become ready again.
const (
	LinkIsReady    LinkChange = iota // it carries data
	LinkIsSuspect                    // it is silent past its PING, or its oldest frame is late
	LinkIsWell                       // it is suspect no more; or, out of the table, it answered a PING
	LinkIsDraining                   // it takes nothing new, and its connection still stands
	LinkIsLost                       // its connection is closed
)

// Core dispatches the frames of one loop. Owned by one loop.
type Core struct {
	cfg    Config
	shared *Shared
	table  *route.Table // loaded once a turn
	now    time.Duration
	nowMS  uint32 // as entries hold it; wraps after 49 days, which comparisons of the form nowMS-at survive

	sessions  []*Session // by slot
	freeSlots []uint32
	links     []*Link // by analyzer
	chunks    chunks

	queue    ring          // waits for any analyzer
	delayed  ring          // waits for its time to be tried again; unordered
	nextDue  time.Duration // of delayed, rounded down
	tickedAt time.Duration
	nextAge  time.Duration // next look for frames past the queue timeout

	hold appender // what waiting frames are copied to

	sizes []uint32 // of the frames that are being dealt; see deal.go
	hands []uint32 // how many of them each analyzer gets; 0 in between
	dealt []int32  // the analyzers that get any
	again uint64   // sequence of this core's own for redispatches and spills

	inspect  *protocol.Inspector
	scanned  protocol.Scanned
	control  protocol.Control
	scratch  []byte
	partials [][]byte // spare buffers for cut frames

	dirtySessions []*Session
	dirtyLinks    []*Link
	doomed        []*Link
	events        []LinkEvent

	deadlines deadlines
	short     bool // places were short at the beginning of the turn
	active    int  // sessions with unsettled frames
	held      int  // unsettled frames of all sessions
	need      int  // frames that keep the links busy; see credit.go

	rate     int64 // this core's part of the shared rate
	ratedFor time.Duration
	ratedAt  uint64

	draining bool
	count    Counters
}

// New makes a core with a closed link to each of n analyzers.
func New(cfg Config, shared *Shared, n int) *Core {
	c := &Core{cfg: cfg, shared: shared, inspect: protocol.NewInspector(cfg.MaxFrame)}
	c.chunks.budget = &shared.budget
	c.table = shared.Table.Load()
	c.need = cfg.HeldFrames
	c.Grow(n)
	return c
}

// Links returns the links by analyzer index. The slice is the core's.
func (c *Core) Links() []*Link { return c.links }

// BeginTurn sets the time of the turn and loads the route table. now is the
// time since an epoch that never changes, and never goes back.
func (c *Core) BeginTurn(now time.Duration) {
	c.now, c.nowMS = now, uint32(now/time.Millisecond)
	c.table = c.shared.Table.Load()
	c.short = c.shortage()
}

// TakeDirtyLinks appends to dst the links that have something to write, each
// once, and forgets them. The loop calls NextControl and NextWrite on each
// whose socket has taken everything, and Touch on the others.
func (c *Core) TakeDirtyLinks(dst []*Link) []*Link {
	for _, l := range c.dirtyLinks {
		l.dirty = false
	}
	dst = append(dst, c.dirtyLinks...)
	c.dirtyLinks = c.dirtyLinks[:0]
	return dst
}

// TakeDirtySessions appends to dst the sessions that have something to say,
// each once, and forgets them.
func (c *Core) TakeDirtySessions(dst []*Session) []*Session {
	for _, s := range c.dirtySessions {
		s.dirty = false
	}
	dst = append(dst, c.dirtySessions...)
	c.dirtySessions = c.dirtySessions[:0]
	return dst
}

// Touch marks a session to be asked again for its answers.
func (c *Core) Touch(s *Session) { c.touch(s) }

// TouchLink marks a link to be asked again for what to write.
func (c *Core) TouchLink(l *Link) {
	if l.state != linkClosed {
		c.touchLink(l)
	}
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
