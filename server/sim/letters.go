package sim

import (
	"time"

	"sluice/server/intake"
)

// letters is a dead-letter folder: a disk, which outlives its distributor, and
// the store that runs over it. It keeps the contract of server/deadletter.
// Owned by the world.
type letters struct {
	d *distributor

	// On the disk.
	files    deque[*letter] // oldest first
	refused  int            // for ever; never offered again
	bytes    int
	max      int
	writable bool

	// In memory.
	reserved int
	unsynced []*letter
	syncing  bool
	keeps    map[packetID]bool // since the last start
	flying   int               // offered and not answered
	bad      bool
	replayed int
}

// letter is one dead letter. Owned by the world.
type letter struct {
	id        packetID
	final     bool
	offered   bool
	delivered bool // or refused for ever
	noted     bool // in the cursor beside the file, too
}

const (
	replayWindow = 256
	replayEvery  = 50 * time.Millisecond
	replayPause  = 500 * time.Millisecond
	cursorEvery  = time.Second
)

// open is a start of the store over the folder that is there.
func (s *letters) open() {
	s.reserved, s.unsynced, s.syncing, s.flying, s.bad, s.keeps = 0, nil, false, 0, false, make(map[packetID]bool)
	for i := range s.files.n {
		(*s.files.at(i)).offered = false
	}
	s.d.after(replayEvery, s.replay)
	s.d.after(cursorEvery, s.cursor)
}

// TryReserve is called by intakes.
func (s *letters) TryReserve(size int) bool {
	if !s.writable || s.bytes+s.reserved+size > s.max {
		return false
	}
	s.reserved += size
	return true
}

// Release is called by intakes.
func (s *letters) Release(size int) {
	if s.reserved -= size; s.reserved < 0 {
		s.d.w.fail("%s: more places among the dead letters are given back than were reserved", s.d.name)
	}
}

// Put is called by intakes: it keeps a frame, which uses its place. It is on the
// disk a moment later.
func (s *letters) Put(frame []byte, final bool) {
	o := &s.d.w.oracle
	id, size := o.identify(frame, s.d.name+"'s dead letters"), len(frame)
	if final && o.packets[id].marks&markFinal == 0 {
		s.d.w.fail("%s keeps packet %d as refused for ever, and no analyzer did", s.d.name, id)
	}
	if s.d.buried {
		for _, l := range s.d.loops {
			l.buries(id)
		}
	}
	s.keeps[id] = true
	s.Release(size)
	s.bytes += size
	s.unsynced = append(s.unsynced, &letter{id: id, final: final})
	if !s.syncing {
		s.syncing = true
		s.d.after(s.d.w.between(time.Millisecond, 20*time.Millisecond), s.sync)
	}
}

func (s *letters) sync() {
	if !s.writable {
		s.d.after(100*time.Millisecond, s.sync)
		return
	}
	s.syncing = false
	for _, x := range s.unsynced {
		if x.final {
			s.refused++
		} else {
			s.files.push(x)
		}
	}
	s.unsynced = nil
}

// replay offers letters to the loops while analyzers are well.
func (s *letters) replay() {
	d := s.d
	if d.draining {
		return
	}
	pause := replayEvery
	if s.bad {
		s.bad, pause = false, d.w.between(replayPause/2, replayPause)
	} else if !d.shared.Table.Load().Empty() {
		for i := 0; i < s.files.n && s.flying < replayWindow; i++ {
			x := *s.files.at(i)
			if x.offered || x.delivered {
				continue
			}
			if !s.offer(x) {
				s.bad = true
				break
			}
		}
	}
	d.after(pause, s.replay)
}

// offer lends a letter to a loop; false: not now.
func (s *letters) offer(x *letter) bool {
	x.offered = true
	s.flying++
	taken := s.d.submit(s.d.nextLoop().lent, false, []packetID{x.id}, func(_ int, how delivery) {
		s.flying--
		x.offered = false
		switch {
		case how.delivered:
			s.replayed++
			x.delivered = true
		case how.final:
			s.refused++
			x.delivered = true
		default:
			s.bad = true
		}
	})
	if taken != intake.Taken {
		s.flying--
		x.offered = false
		return false
	}
	return true
}

// cursor writes down what was delivered, and removes what is done with.
func (s *letters) cursor() {
	if s.writable {
		s.note()
	}
	s.d.after(cursorEvery, s.cursor)
}

func (s *letters) note() {
	for i := range s.files.n {
		x := *s.files.at(i)
		x.noted = x.delivered
	}
	for s.files.n > 0 && (*s.files.at(0)).noted {
		s.bytes -= s.d.w.oracle.size(s.files.pop().id)
	}
}

// close is the end of a drain: all is written.
func (s *letters) close() {
	s.writable = true
	s.sync()
	s.note()
}

// crash forgets what is not on the disk.
func (s *letters) crash() {
	o := &s.d.w.oracle
	for _, x := range s.unsynced {
		s.bytes -= o.size(x.id)
		o.lost(x.id)
	}
	s.unsynced = nil
	for i := range s.files.n {
		if x := *s.files.at(i); x.delivered && !x.noted {
			x.delivered = false
			o.excuse(x.id)
		}
	}
}

// empty says that nothing waits.
func (s *letters) empty() bool { return s.files.n == 0 && len(s.unsynced) == 0 }
