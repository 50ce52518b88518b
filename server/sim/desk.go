package sim

import (
	"sluice/protocol"
)

// desk is the HTTP side of a loop, or the side of the dead letters: an
// observed session, and who asked for each of its frames. Owned by the world.
type desk struct {
	l       *loop
	owned   bool
	session interface{ Unsettled() int }
	submit  func(frame []byte) (uint64, protocol.NackCode)

	pending deque[*submission] // by number, from first on; nil: has its fate
	first   uint64
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
	s := l.core.OpenObserved(d, owned)
	d.session = s
	d.submit = func(frame []byte) (uint64, protocol.NackCode) { return l.core.Submit(s, frame, 1) }
}

// post gives a frame to the core, in a turn of its own.
func (d *desk) post(id packetID, done func(delivery)) protocol.NackCode {
	l := d.l
	o := &l.d.w.oracle
	l.beginTurn()
	frame := o.appendFrame(nil, id)
	o.sent(id)
	n, code := d.submit(frame)
	ruin(frame)
	if n != d.first+uint64(d.pending.n) {
		l.d.w.fail("%s: submitted frame is number %d after %d", l.d.name, n, d.first+uint64(d.pending.n)-1)
	}
	if code == 0 {
		d.pending.push(&submission{id, done})
	} else {
		d.pending.push(nil)
	}
	l.flush()
	return code
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
	for i := range d.pending.n {
		if s := *d.pending.at(i); s != nil {
			d.l.d.w.oracle.lost(s.id)
			s.done(delivery{crashed: true})
		}
	}
}
