package sim

import (
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// desk is the HTTP side of a loop, or the side of the dead letters: an
// observed session, and who asked for each of its frames. Owned by the world.
type desk struct {
	l       *loop
	owned   bool
	session *dispatch.Session

	promised []promise          // admitted, and not yet read by the loop
	pending  deque[*submission] // by number, from first on; nil: has its fate
	first    uint64
}

// promise is a frame in the mailbox, whose place is reserved. Owned by the world.
type promise struct {
	frame []byte
	*submission
}

// submission is one frame that was admitted. Owned by the world.
type submission struct {
	id   packetID
	done func(delivery)
}

// delivery is the fate of a submission, as in server/loop.
type delivery struct {
	delivered bool
	kept      bool
	code      protocol.NackCode
	crashed   bool // nobody will ever tell
}

func (d *desk) open(l *loop, owned bool) {
	d.l, d.owned, d.first = l, owned, 1
	d.session = l.core.OpenObserved(d, owned)
}

// post gives a frame to the core: as a promise, which the loop reads when it
// comes to it, or, where only the core can say whether there is room, at once.
func (d *desk) post(id packetID, done func(delivery)) protocol.NackCode {
	l, w := d.l, d.l.d.w
	frame := w.oracle.appendFrame(nil, id)
	if core := &w.knobs.core; core.Route != dispatch.RouteWeighted || core.Strict {
		l.beginTurn()
		w.oracle.sent(id)
		n, code := l.core.Submit(d.session, frame, 1)
		d.admitted(n, frame, code == 0, &submission{id, done})
		l.flush()
		return code
	}
	if l.core.Greedy(d.session) || !l.d.shared.TryReserve(len(frame)) {
		return protocol.NackBusy
	}
	w.oracle.sent(id)
	if d.promised = append(d.promised, promise{frame, &submission{id, done}}); len(d.promised) == 1 {
		l.d.after(w.upTo(mailDelay), d.read)
	}
	return 0
}

// mailDelay is more than a loop needs to come to its mail: faults shall find some
// in it.
const mailDelay = 5 * time.Millisecond

// read dispatches what was promised, in a turn of its own.
func (d *desk) read() {
	if len(d.promised) == 0 {
		return
	}
	l := d.l
	l.beginTurn()
	for _, p := range d.promised {
		d.admitted(l.core.Accept(d.session, p.frame, 1), p.frame, true, p.submission)
	}
	d.promised = nil
	l.flush()
}

// admitted notes the fate of frame n so far. The core has only borrowed it.
func (d *desk) admitted(n uint64, frame []byte, taken bool, s *submission) {
	ruin(frame)
	if n != d.first+uint64(d.pending.n) {
		d.l.d.w.fail("%s: submitted frame is number %d after %d", d.l.d.name, n, d.first+uint64(d.pending.n)-1)
	}
	if !taken {
		s = nil
	}
	d.pending.push(s)
}

// take removes a submission, which must be pending.
func (d *desk) take(n uint64) *submission {
	if n < d.first || n >= d.first+uint64(d.pending.n) || *d.pending.at(int(n - d.first)) == nil {
		d.l.d.w.fail("%s: the observer hears again of frame %d, or too early", d.l.d.name, n)
	}
	slot := d.pending.at(int(n - d.first))
	s := *slot
	*slot = nil
	for d.pending.n > 0 && *d.pending.at(0) == nil {
		d.pending.pop()
		d.first++
	}
	return s
}

// Delivered is called by the core.
func (d *desk) Delivered(n uint64, analyzer, size int) {
	s := d.take(n)
	o := &d.l.d.w.oracle
	o.mustHave(s.id, d.l.d.name+"'s observer")
	if size != o.size(s.id) {
		d.l.d.w.fail("%s: packet %d of %d bytes was delivered as %d", d.l.d.name, s.id, o.size(s.id), size)
	}
	if d.owned {
		d.l.d.letters.release(size)
	}
	s.done(delivery{delivered: true})
}

// Refused is called by the core.
func (d *desk) Refused(n uint64, code protocol.NackCode, frame []byte) {
	s := d.take(n)
	w := d.l.d.w
	if id := w.oracle.identify(frame, d.l.d.name+"'s observer"); id != s.id {
		w.fail("%s: frame %d is packet %d, and packet %d is refused", d.l.d.name, n, s.id, id)
	}
	final := code == protocol.NackInvalid || code == protocol.NackTooLarge
	if final && w.oracle.packets[s.id].marks&markFinal == 0 {
		w.fail("%s: packet %d is refused for ever, and no analyzer did", d.l.d.name, s.id)
	}
	if d.owned {
		if code == protocol.NackDraining {
			d.l.buries(s.id)
		}
		d.l.d.letters.put(s.id, final)
	}
	s.done(delivery{kept: d.owned, code: code})
}

// crash tells the oracle what dies with the memory of the process, and those
// who wait for an answer that there will be none.
func (d *desk) crash() {
	for _, p := range d.promised {
		d.l.d.w.oracle.lost(p.id)
		p.done(delivery{crashed: true})
	}
	for i := range d.pending.n {
		if s := *d.pending.at(i); s != nil {
			d.l.d.w.oracle.lost(s.id)
			s.done(delivery{crashed: true})
		}
	}
}
