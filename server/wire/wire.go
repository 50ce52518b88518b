// Package wire is Sluice's own protocol on the agents' side: how the bytes of a
// connection become frames of a dispatch.Source, and how their settlement becomes
// answers.
//
// It has no socket, goroutine or clock: what was read is given to Agent.Receive,
// and what is to be written is asked for by Agent.NextAnswers. A frame that a read
// cut is kept, charged to the byte budget as it grows; answers wait while the
// socket is full, and are bounded; deadlines are looked at in ticks.
package wire

import (
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

const (
	// answerBytes bounds the NACKs that wait for a sender which does not read.
	answerBytes = 64 << 10
	// answerPiece is the most answers that a socket is given at once: what the
	// event loop must hold if the sender does not read.
	answerPiece = 16 << 10
	// freeAnswerBytes of waiting answers are not charged to the budget: they are
	// part of what a connection costs.
	freeAnswerBytes = 4 << 10
	// sparePartials is how many empty buffers for cut frames are kept.
	sparePartials = 32
	// sparePartialBytes is the largest of them worth keeping.
	sparePartialBytes = 64 << 10
)

// Overdraft is by how much the buffers kept for cut frames may pass the byte
// budget, in bytes for each loop.
const Overdraft = sparePartials * sparePartialBytes

// Agents are the agents' wires of one loop. Owned by one loop.
type Agents struct {
	core      *dispatch.Core
	cfg       *dispatch.Config
	all       []*Agent // the open ones, in no order
	dirty     []*Agent
	behind    []*Agent // those with a backlog, in the order in which they get their turns
	deadlines deadlines
	draining  bool
	hungUp    uint64

	control  protocol.Control
	scratch  []byte
	partials [][]byte // spare buffers for cut frames
}

// NewAgents makes the wires of a loop that are around its core.
func NewAgents(core *dispatch.Core) *Agents {
	return &Agents{core: core, cfg: core.Config()}
}

// Agent is the wire of one agent's connection. Owned by one loop.
type Agent struct {
	// Conn is the pump's own connection; the wire never looks at it.
	Conn any

	home   *Agents
	index  int // in home.all
	source *dispatch.Source

	heardAt   time.Duration // last byte received
	partialAt time.Duration // since when a frame is incomplete, or when it was judged last; 0: none is
	brought   int           // bytes that came since then
	unreadAt  time.Duration // since when answers are not read; 0: they are
	askedAt   time.Duration // of the last PING
	lookAt    time.Duration // when a deadline may be over
	place     int           // in the heap of them

	partial []byte // the received bytes of a frame that was cut; nil without one
	charged int64  // bytes of the budget that partial holds
	backlog []byte // read, and left for a later turn; charged
	discard int    // body bytes still to come of a frame that was refused by its header

	hello    bool // said HELLO
	forwards bool // its HELLO named distributors
	spoke    bool // sent any frame, so that HELLO is out of place
	gone     bool // the connection is closed
	deaf     bool // a stop has interrupted its turn: nothing more is read
	closing  bool // the final frames are said: nothing more is read
	drained  bool // GOAWAY 0 was said
	dirty    bool // in the list of those with something to say
	pong     [64]byte
	pongSize int           // bytes of pong: x of the last PING
	answers  []byte        // NACKs and final frames that wait for the socket, in order
	owed     int64         // bytes of the budget that answers hold, here and in the event loop
	nack     pendingRefuse // the last run of refusals
}

// Open makes the wire of a connection.
func (w *Agents) Open(conn any, party dispatch.PartyKey) *Agent {
	now := w.core.Now()
	a := &Agent{Conn: conn, home: w, heardAt: now, place: noPlace}
	a.source = w.core.OpenSource(a, dispatch.SourceConfig{Party: party, Credit: true})
	a.index = len(w.all)
	w.all = append(w.all, a)
	first := w.cfg.FirstFrame
	if w.cfg.IdlePlain > 0 {
		first = min(first, w.cfg.IdlePlain)
	}
	w.lookBy(a, now+first)
	if w.draining {
		a.sayDraining()
	}
	return a
}

// Lost tells that the connection is closed. Admitted frames are still delivered.
func (a *Agent) Lost() {
	if a.gone {
		return
	}
	a.gone, a.Conn = true, nil
	a.home.remove(a)
	a.home.forgetDeadline(a)
	a.dropPartial()
	a.dropBacklog()
	a.answers, a.nack = nil, pendingRefuse{}
	a.owe(0)
	if a.forwards {
		a.home.cfg.Lineage.DropSender(a)
	}
	a.source.Close()
}

func (w *Agents) remove(a *Agent) {
	last := len(w.all) - 1
	w.all[a.index] = w.all[last]
	w.all[a.index].index = a.index
	w.all[last] = nil
	w.all = w.all[:last]
}

// Source returns the source whose frames the wire carries.
func (a *Agent) Source() *dispatch.Source { return a.source }

// Closing says that the connection should be closed once its final frames are
// written: the write side shut, input discarded until the peer's FIN.
func (a *Agent) Closing() bool { return a.closing }

// AnswersFlushed says that the final frames of a closing connection have all been
// handed out.
func (a *Agent) AnswersFlushed() bool { return a.closing && len(a.answers) == 0 }

// TakeDirty appends to dst the wires that have something to say, each once, and
// forgets them.
func (w *Agents) TakeDirty(dst []*Agent) []*Agent {
	for _, a := range w.dirty {
		a.dirty = false
	}
	dst = append(dst, w.dirty...)
	w.dirty = w.dirty[:0]
	return dst
}

// MarkDirty marks the wire to be asked again for its answers.
func (a *Agent) MarkDirty() { a.touch() }

func (a *Agent) touch() {
	if !a.dirty && !a.gone {
		a.dirty = true
		a.home.dirty = append(a.home.dirty, a)
	}
}

// Count fills in what the wires count.
func (w *Agents) Count(n *dispatch.Counters) {
	n.Sessions, n.HungUp = uint64(len(w.all)), w.hungUp
}

// Drain says GOAWAY 0 to every agent, and to each that comes later.
func (w *Agents) Drain() {
	if w.draining {
		return
	}
	w.draining = true
	for _, a := range w.all {
		a.sayDraining()
	}
}

func (a *Agent) sayDraining() {
	if a.gone || a.closing || a.drained {
		return
	}
	a.drained = true
	a.flushNack()
	a.answers = protocol.AppendGoaway(a.answers, protocol.GoawayDrain, "the distributor is stopping")
	a.touch()
}

// Finish says on each connection what is settled as its final frames, and closes
// it. For the end of a drain, whether everything was settled or not.
func (w *Agents) Finish() {
	for _, a := range w.all {
		if !a.closing {
			a.endWith(nil)
		}
	}
}

// hangUp says GOAWAY as the final frame of a connection.
func (a *Agent) hangUp(code protocol.GoawayCode, text string) {
	if a.closing || a.gone {
		return
	}
	a.home.hungUp++
	a.endWith(protocol.AppendGoaway(nil, code, text))
}

// endWith makes what is settled, and last, the final frames of a connection.
func (a *Agent) endWith(last []byte) {
	a.closing = true
	a.home.forgetDeadline(a)
	a.flushNack()
	if ack, due := a.source.NextAck(); due {
		a.answers = protocol.AppendAck(a.answers, ack.N, ack.Frames, ack.Bytes)
	}
	a.answers = append(a.answers, last...)
	a.dropPartial()
	a.dropBacklog()
	a.touch()
}
