package sim

import "time"

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
