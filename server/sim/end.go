package sim

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
