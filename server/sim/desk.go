package sim

import (
	"net/netip"

	"sluice/protocol"
	"sluice/server/intake"
)

// Around a loop's intake stand the HTTP side and the dead letters, which submit
// batches and hear of them. The letters are the Keeper; see letters.go.

// submission is a batch that was given to an intake by somebody who waits for its
// fate: the Hearer. Owned by the world.
type submission struct {
	d     *distributor
	ids   []packetID
	heard []bool // of which its fate is known
	left  int    // of which it is not
	owned bool   // the distributor answers for it
	place int    // in distributor.awaited
	done  func(i int, how delivery)
}

// delivery is the fate of one packet of a submission.
type delivery struct {
	delivered bool
	kept      bool
	final     bool // no analyzer will ever take it
	crashed   bool // nobody will ever tell
}

// submit gives packets to an intake as one batch. done hears the fate of each of
// them if they are taken; nil: nobody waits for it.
func (d *distributor) submit(to *intake.Source, owned bool, ids []packetID, done func(i int, how delivery)) intake.Verdict {
	o := &d.w.oracle
	var frames []byte
	for _, id := range ids {
		o.sent(id)
		frames = o.appendFrame(frames, id)
	}
	var hearer intake.Hearer
	var s *submission
	if done != nil {
		s = &submission{d: d, ids: ids, heard: make([]bool, len(ids)), left: len(ids), owned: owned, place: len(d.awaited), done: done}
		d.awaited = append(d.awaited, s)
		hearer = s
	}
	a := to.Submit(frames, len(ids), len(ids), hearer)
	ruin(frames) // they were borrowed
	if a.Verdict == intake.Taken {
		if s == nil {
			d.unheard = append(d.unheard, ids...)
		}
		return a.Verdict
	}
	if a.Code == 0 || a.Verdict == intake.Wait && a.Code != protocol.NackBusy {
		d.w.fail("%s: a batch was not taken: %+v", d.name, a)
	}
	for _, id := range ids {
		o.unsent(id)
	}
	if s != nil {
		if s.left != len(ids) {
			d.w.fail("%s: a batch was not taken, and its hearer hears of %d frames of it", d.name, len(ids)-s.left)
		}
		s.leave()
	}
	return a.Verdict
}

// Settled is called by the intake.
func (s *submission) Settled(r intake.Run) {
	w, o := s.d.w, &s.d.w.oracle
	if r.First < 0 || r.Count < 1 || r.First+r.Count > len(s.ids) {
		w.fail("%s: the hearer of %d frames hears of %d from %d on", s.d.name, len(s.ids), r.Count, r.First)
	}
	for i := r.First; i < r.First+r.Count; i++ {
		id := s.ids[i]
		if s.heard[i] {
			w.fail("%s: the hearer hears again of packet %d", s.d.name, id)
		}
		s.heard[i] = true
		s.left--
		switch final := !r.Delivered && r.Final(); {
		case r.Delivered:
			o.mustHave(id, s.d.name+"'s hearer")
		case final && o.packets[id].marks&markFinal == 0:
			w.fail("%s: packet %d is refused for ever, and no analyzer did", s.d.name, id)
		case r.Kept != s.owned || r.Kept && !s.d.letters.keeps[id]:
			w.fail("%s: the hearer is told that packet %d is kept (%v), which is not so", s.d.name, id, r.Kept)
		}
		s.done(i, delivery{delivered: r.Delivered, kept: r.Kept, final: !r.Delivered && r.Final()})
	}
	if s.left == 0 {
		s.leave()
	}
}

// leave takes the submission out of those that are awaited.
func (s *submission) leave() {
	list := s.d.awaited
	last := list[len(list)-1]
	list[s.place], last.place = last, s.place
	s.d.awaited = list[:len(list)-1]
}

// forgetMail tells the oracle what dies with the memory of the process, and those
// who wait for an answer that there will be none.
func (d *distributor) forgetMail() {
	o := &d.w.oracle
	for _, id := range d.open() {
		o.lost(id)
	}
	for _, s := range d.awaited {
		for i, id := range s.ids {
			if s.owned && !s.heard[i] {
				o.lost(id)
				s.done(i, delivery{crashed: true})
			}
		}
	}
}

// open is which of the packets that nobody waits for may still be in the memory:
// those that are no dead letters, and that no analyzer has a receipt for. It
// forgets the others.
func (d *distributor) open() []packetID {
	kept := d.unheard[:0]
	for _, id := range d.unheard {
		if p := &d.w.oracle.packets[id]; p.copies == 0 && p.marks&markLied == 0 && !d.letters.keeps[id] {
			kept = append(kept, id)
		}
	}
	d.unheard = kept
	return kept
}

// checkAnswered holds after the rest was made dead letters at the end of a drain:
// of all that the distributor answers for, it holds nothing.
func (d *distributor) checkAnswered() {
	if open := d.open(); len(open) > 0 {
		d.w.fail("%s: %d accepted packets are left after DeadLetterAll, as packet %d", d.name, len(open), open[0])
	}
	for _, s := range d.awaited {
		if s.owned {
			d.w.fail("%s: %d packets are left after DeadLetterAll, of which somebody waits to hear", d.name, s.left)
		}
	}
	if d.letters.reserved != 0 {
		d.w.fail("%s: %d bytes among the dead letters are reserved after DeadLetterAll", d.name, d.letters.reserved)
	}
}

// client is the source of a submitter's requests. It is let go now and then, as
// one that is idle.
func (l *loop) client(s *submitter) *intake.Source {
	src := &l.clients[s.index]
	if *src != nil && l.d.w.chance(0.02) {
		(*src).Close()
		*src = nil
	}
	if *src == nil {
		*src = l.pump.Intake().NewSource(s.host.addr(), &l.d.letters)
	}
	return *src
}

// addr is the address of a host. Three share one, as behind a router.
func (h *host) addr() netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(h.index / 3)}) }
