package sim

import "time"

// host is a machine. One that is off neither sends nor receives, and its peers
// hear nothing of that. Owned by the world.
type host struct {
	index   int
	off     bool
	orphans []*end // ends that vanished with the power; their mates do not know
}

// process is one program on a host of its own. It can be stopped (SIGSTOP: the
// kernel still accepts and buffers for it), die, and live again. Owned by the
// world.
type process struct {
	w       *World
	name    string
	host    *host
	up      bool
	stopped bool
	life    int           // how often it was started; what an earlier life scheduled is void
	busy    time.Duration // until then its thread is at work, and reads nothing
	ranAt   time.Duration // since then it was not stopped, and hardly busy
	haltAt  time.Duration // when it was stopped
	halted  time.Duration // for how long in all, as far as it noticed
	ends    []*end        // its open connections
	held    []func()      // what fell due while it was stopped
	accept  func(*end)    // nil: nobody listens
}

func (p *process) init(w *World, name string) {
	p.w, p.name = w, name
	p.host = &host{index: len(w.hosts)}
	w.hosts = append(w.hosts, p.host)
	w.processes = append(w.processes, p)
}

// after runs do in the process, unless it has died by then.
func (p *process) after(d time.Duration, do func()) {
	life := p.life
	p.w.after(d, func() { p.due(life, do) })
}

func (p *process) due(life int, do func()) {
	switch {
	case !p.up || p.life != life:
	case p.stopped:
		p.held = append(p.held, do)
	default:
		do()
	}
}

// spend makes the process busy with work.
func (p *process) spend(d time.Duration) {
	p.busy = max(p.busy, p.w.now) + d
	if p.busy-p.w.now > 100*time.Millisecond {
		p.ranAt = p.busy
	}
}

func (p *process) live() {
	p.up, p.stopped = true, false
	p.life++
	p.busy, p.ranAt = p.w.now, p.w.now
}

func (p *process) pause() {
	if p.up && !p.stopped {
		p.stopped, p.haltAt = true, p.w.now
	}
}

// resume lets a stopped process run on: its timers and its sockets come to
// their turn in either order.
func (p *process) resume() {
	if !p.stopped {
		return
	}
	p.stopped = false
	p.ranAt = p.w.now
	if p.w.now-p.haltAt > longestGap+tickEvery {
		p.halted += p.w.now - p.haltAt
	}
	held := p.held
	p.held = nil
	if p.w.chance(0.5) {
		p.serveAll()
	}
	for _, do := range held {
		p.after(0, do)
	}
	p.serveAll()
}

func (p *process) serveAll() {
	for _, e := range p.ends {
		p.w.after(0, e.service)
	}
}

// die ends the process. The kernel closes its connections, or, when the power
// goes, nobody does.
func (p *process) die(power bool) {
	if !p.up {
		return
	}
	p.up, p.stopped, p.held, p.accept = false, false, nil, nil
	for len(p.ends) > 0 {
		e := p.ends[len(p.ends)-1]
		if power {
			e.vanish()
		} else {
			e.close()
		}
	}
	p.host.off = power
}

// power turns the host on again. Peers of connections that it knows no more
// are told when they send something, or when their keep-alive asks.
func (p *process) power() {
	h := p.host
	h.off = false
	for _, e := range h.orphans {
		p.w.after(p.w.upTo(15*time.Second), e.refuse)
	}
	h.orphans = nil
}
