package sim

import "time"

type markKind uint8

const (
	markData  markKind = iota
	markFin            // the writer has shut its side
	markReset          // the connection is unknown over there
)

// mark says when the bytes up to a position arrive.
type mark struct {
	end  int64
	at   time.Duration
	kind markKind
}

// pipe is one direction of a connection: a stream of bytes of which some are
// read, some arrived, some sent, and some only written (the event loop's own
// buffer; they die with the writer). Owned by the world.
type pipe struct {
	path *path
	to   *end

	buf                          []byte // from base on
	base                         int64
	read, arrived, sent, written int64

	marks     deque[mark]
	free      time.Duration // when the wire is free again
	last      time.Duration // when the last mark arrives
	fin       bool          // the writer wants no more
	finMarked bool
	reset     bool // a reset is on its way
	eof       bool // all bytes and the end of them have arrived
	waiting   bool // an arrival is scheduled
	arriveFn  func()
}

func (p *pipe) write(data []byte) {
	p.buf = append(p.buf, data...)
	p.written += int64(len(data))
	p.pump()
}

// pump sends what the kernels have room for.
func (p *pipe) pump() {
	for p.sent < p.written {
		room := int64(p.path.capacity) - (p.sent - p.read)
		slice := p.path.slice
		if p.written-p.sent > 2<<10 {
			slice = max(slice, 1448) // crumbs of much would take for ever
		}
		n := min(p.written-p.sent, room, int64(slice))
		if n <= 0 {
			break
		}
		p.sent += n
		p.push(markData, int(n))
	}
	if p.fin && !p.finMarked && p.sent == p.written {
		p.finMarked = true
		p.push(markFin, 1)
	}
}

func (p *pipe) push(kind markKind, n int) {
	w := p.path.w
	p.free = max(p.free, w.now)
	if p.path.rate > 0 {
		p.free += time.Duration(n) * time.Second / time.Duration(p.path.rate)
	}
	p.last = max(p.last, p.free+p.path.delay())
	p.marks.push(mark{end: p.sent, at: p.last, kind: kind})
	if !p.waiting {
		p.waiting = true
		w.at(p.last, p.arriveFn)
	}
}

// arrive delivers what is due, or waits for the path to be whole again.
func (p *pipe) arrive() {
	w := p.path.w
	if p.marks.n == 0 {
		p.waiting = false
		return
	}
	if p.path.blocked() {
		w.after(20*time.Millisecond+w.upTo(200*time.Millisecond), p.arriveFn)
		return
	}
	data := false
	for p.marks.n > 0 && p.marks.at(0).at <= w.now {
		switch m := p.marks.pop(); m.kind {
		case markData:
			p.arrived = m.end
			data = true
		case markFin:
			p.eof = true
		case markReset:
			if !p.to.closed && !p.to.reset {
				p.to.reset = true
				p.to.unread = w.chance(0.5)
			}
		}
	}
	if p.marks.n > 0 {
		w.at(max(p.marks.at(0).at, w.now), p.arriveFn)
	} else {
		p.waiting = false
	}
	if p.to.closed {
		if data {
			p.to.refuse()
		}
		return
	}
	p.to.service()
}

// hurry lets all that is on its way arrive soon.
func (p *pipe) hurry() {
	now := p.path.w.now
	p.free, p.last = now, now
	for i := range p.marks.n {
		m := p.marks.at(i)
		p.last = max(now, min(m.at, now+p.path.latency))
		m.at = p.last
	}
	if p.marks.n > 0 {
		p.path.w.at(p.marks.at(0).at, p.arriveFn)
	}
}

// take returns up to n bytes that arrived. Borrowed until the next call.
func (p *pipe) take(n int64) []byte {
	n = min(n, p.arrived-p.read)
	data := p.buf[p.read-p.base : p.read-p.base+n]
	p.read += n
	return data
}

// tidy forgets what was read.
func (p *pipe) tidy() {
	switch off := p.read - p.base; {
	case p.read == p.written:
		p.buf, p.base = p.buf[:0], p.read
	case off > 64<<10 && off > int64(len(p.buf)/2):
		p.buf = p.buf[:copy(p.buf, p.buf[off:])]
		p.base = p.read
	}
	p.pump()
}

// cut forgets what has not left the writer, or with all, what is on its way.
func (p *pipe) cut(all bool) {
	if all {
		p.marks.clear()
		p.sent = p.arrived
	}
	p.buf = p.buf[:p.sent-p.base]
	p.written = p.sent
}
