package listener

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// The pause after a failing accept begins small, for what passes at once, and
// doubles. Its end bounds how long descriptors that come free stay unused.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
)

func (l *Listener) accept() {
	defer l.done.Done()
	pause := firstPause
	for {
		err := l.acceptOne()
		if err == nil {
			pause = firstPause
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Whatever it is, what is open must live on, and accepting resumes by
		// itself. No error is worth a retry without a pause: those that speak of
		// one connection only (ECONNABORTED) Go's net retries before we see them.
		why := l.counts.failed(err)
		l.log.Warn("cannot accept connections: "+why, "error", err, "again_in", pause)
		select {
		case <-l.stop:
			return
		case <-l.after(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// acceptOne accepts a connection and gives it to a loop, or refuses it. The
// error is accept's, or that of a loop for want of descriptors or memory, which
// is the same trouble: gnet duplicates the descriptor, so that the last one
// that is free is enough for accept and not for the loop.
func (l *Listener) acceptOne() error {
	c, err := l.ln.Accept()
	if err != nil {
		return err
	}
	leave, refused := l.limiter.enter(c.RemoteAddr())
	switch refused {
	case limitReached:
		l.counts.refusedLimit.Add(1)
		limit, _ := l.limiter.limits()
		l.log.Warn("refused a connection: all of them are in use", "peer", c.RemoteAddr(), "max_connections", limit)
		l.refuse(c, "too many connections; come again later")
		return nil
	case addressLimitReached:
		l.counts.refusedPerIP.Add(1)
		_, limit := l.limiter.limits()
		l.log.Warn("refused a connection: too many from one address", "peer", c.RemoteAddr(), "max_connections_per_ip", limit)
		l.refuse(c, "too many connections from one address")
		return nil
	}
	peer := c.RemoteAddr()
	if err := l.fewest().AddAgent(c, leave); err != nil {
		leave()
		l.counts.notTaken.Add(1)
		if kind, _ := kindOf(err); kind == descriptorError || kind == memoryError {
			return err
		}
		l.log.Warn("no loop took a connection", "peer", peer, "error", err)
		return nil
	}
	l.counts.accepted.Add(1)
	return nil
}

func (l *Listener) fewest() Loop {
	best, least := l.loops[0], l.loops[0].Agents()
	for _, lp := range l.loops[1:] {
		if n := lp.Agents(); n < least {
			best, least = lp, n
		}
	}
	return best
}

// kindOf sorts the errors of accept by what an operator could do about them.
func kindOf(err error) (kind int, why string) {
	is := func(numbers ...syscall.Errno) bool {
		for _, n := range numbers {
			if errors.Is(err, n) {
				return true
			}
		}
		return false
	}
	switch {
	case is(syscall.EMFILE):
		return descriptorError, "the process is out of descriptors (ulimit -n)"
	case is(syscall.ENFILE):
		return descriptorError, "the machine is out of descriptors"
	case is(syscall.ENOBUFS, syscall.ENOMEM):
		return memoryError, "the kernel is out of memory for sockets"
	case is(syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EPROTO, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ETIMEDOUT):
		return abortedError, "they were broken off"
	}
	return otherError, "unexpected error"
}
