package sim

import (
	"time"

	"sluice/server/dispatch"
)

// path is the way from one host to another. Owned by the world.
type path struct {
	w        *World
	from, to *host
	latency  time.Duration
	jitter   time.Duration
	rate     int           // bytes a second; 0: any
	slice    int           // bytes that arrive at once at most
	capacity int           // bytes on their way or unread that the kernels hold
	hole     time.Duration // until then everything that is sent vanishes, and is sent again
}

func (p *path) blocked() bool {
	return p.hole > p.w.now || p.from.off || p.to.off
}

func (p *path) delay() time.Duration { return p.latency + p.w.upTo(p.jitter) }

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
		p.last = min(m.at, now+p.path.latency)
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

// peer is the program at an end of a connection.
type peer interface {
	readable(data []byte) // borrowed
	writable()            // after full said so
	ended(reason string)  // the other side has closed, or the connection is broken
}

// end is one side of a connection, as its process sees it. Owned by the world.
type end struct {
	proc    *process
	user    peer
	in, out *pipe
	mate    *end
	place   int  // in proc.ends
	closed  bool // for this side; the mate may not know
	reset   bool // broken; the process has not been told
	unread  bool // of a broken connection, what has arrived can be read
	told    bool // of the end of the stream
	waiting bool // for the process to have time
	hungry  bool // wants to hear when there is room again
}

func (w *World) newConn(a, b *process) (*end, *end) {
	x, y := &end{proc: a}, &end{proc: b}
	x.mate, y.mate = y, x
	x.out = w.newPipe(a.host, b.host, y)
	y.out = w.newPipe(b.host, a.host, x)
	x.in, y.in = y.out, x.out
	x.join()
	y.join()
	return x, y
}

func (w *World) newPipe(from, to *host, reader *end) *pipe {
	p := &pipe{path: w.path(from, to), to: reader}
	p.arriveFn = p.arrive
	return p
}

func (e *end) join() {
	e.place = len(e.proc.ends)
	e.proc.ends = append(e.proc.ends, e)
}

// leave takes the end out of its process.
func (e *end) leave() {
	e.closed = true
	ends := e.proc.ends
	last := ends[len(ends)-1]
	ends[e.place], last.place = last, e.place
	e.proc.ends = ends[:len(ends)-1]
}

// write hands bytes over; what the kernels do not take is kept by the writer.
func (e *end) write(data []byte) {
	if !e.closed && !e.reset && !e.out.fin {
		e.out.write(data)
	}
}

// full says that the kernels did not take all that was written.
func (e *end) full() bool { return e.out.written > e.out.sent }

// shut ends the stream in the direction away from here.
func (e *end) shut() {
	if !e.out.fin {
		e.out.fin = true
		e.out.pump()
	}
}

// close closes the connection for this side. Input that was not read turns it
// into a reset, as kernels do.
func (e *end) close() {
	if e.closed {
		return
	}
	e.leave()
	e.out.cut(false)
	switch {
	case e.reset:
	case e.in.arrived > e.in.read:
		e.refuse()
	default:
		e.shut()
	}
}

// vanish is what happens to an end when its host loses power.
func (e *end) vanish() {
	e.leave()
	e.out.cut(true)
	if !e.mate.closed {
		e.proc.host.orphans = append(e.proc.host.orphans, e)
	}
}

// refuse tells the mate that nobody is here any more.
func (e *end) refuse() {
	if !e.out.reset {
		e.out.reset = true
		e.out.push(markReset, 1)
	}
}

// breakDown resets the connection for both sides at once; what was on its way
// is lost.
func (e *end) breakDown() {
	for _, x := range [2]*end{e, e.mate} {
		if !x.closed {
			x.reset, x.unread = true, x.proc.w.chance(0.5)
			x.in.cut(true)
			x.proc.w.after(0, x.service)
		}
	}
}

// readBytes is what one read takes at most, as in server/loop.
const readBytes = 256 << 10

// ruin overwrites borrowed bytes: they do not outlive the loan.
func ruin(data []byte) {
	for len(data) > 0 {
		data = data[copy(data, ruins):]
	}
}

// ruins is what no frame may begin with; a string, because strings stay as they
// are.
const ruins = "\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1" +
	"\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1" +
	"\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1" +
	"\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1"

// service lets the process read what has arrived.
func (e *end) service() {
	p := e.proc
	if e.closed || e.user == nil || p.stopped {
		return
	}
	if p.busy > p.w.now {
		if !e.waiting {
			e.waiting = true
			p.w.at(p.busy, func() { e.waiting = false; e.service() })
		}
		return
	}
	if e.in.arrived > e.in.read && (!e.reset || e.unread) {
		data := e.in.take(readBytes)
		e.user.readable(data)
		ruin(data)
		if e.closed {
			return
		}
		wasFull := e.in.written > e.in.sent
		e.in.tidy()
		if wasFull && !e.mate.full() && e.mate.hungry {
			e.mate.hungry = false
			e.mate.proc.after(e.in.path.delay(), func() {
				if !e.mate.closed {
					e.mate.user.writable()
				}
			})
		}
		if e.in.arrived > e.in.read || e.reset || e.in.eof {
			p.w.after(0, e.service)
		}
		return
	}
	switch {
	case e.reset:
		e.leave()
		e.user.ended("connection reset by peer")
	case e.in.eof && !e.told:
		e.told = true
		e.user.ended("EOF")
	}
}

const (
	dialTimeout = 2 * time.Second // as in server/pool
	synAgain    = 500 * time.Millisecond
)

// dial connects a process to another; done hears in the process of its end,
// whose user it sets, or of nil.
func (w *World) dial(from, to *process, done func(e *end, failure string)) {
	life, deadline := from.life, w.now+dialTimeout
	there, back := w.path(from.host, to.host), w.path(to.host, from.host)
	fail := func(why string) { from.due(life, func() { done(nil, why) }) }
	var syn func()
	syn = func() {
		if w.now >= deadline {
			fail("i/o timeout")
			return
		}
		if there.blocked() || back.blocked() {
			w.after(synAgain, syn)
			return
		}
		if !to.up || to.accept == nil {
			w.after(back.delay(), func() { fail("connection refused") })
			return
		}
		if !from.up || from.life != life {
			return
		}
		here, far := w.newConn(from, to)
		to.after(0, func() {
			if to.accept == nil {
				far.close()
				return
			}
			to.accept(far)
			w.after(0, far.service)
		})
		w.after(back.delay(), func() {
			from.due(life, func() {
				done(here, "")
				w.after(0, here.service)
			})
		})
	}
	w.after(there.delay(), syn)
}

// tickEvery is how often a loop with work ticks.
const tickEvery = dispatch.TickEvery
