// Package listener accepts agents' connections and hands each to the loop
// with the fewest. gnet's own acceptor is not used: one failing accept
// (EMFILE) would shut its whole engine down.
package listener

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Loop takes agents' connections and says how many it has.
type Loop interface {
	AddAgent(c net.Conn) error
	Sessions() int
}

// Listener accepts until Close. Safe for concurrent use.
type Listener struct {
	ln    net.Listener
	loops []Loop
	log   *slog.Logger
	done  sync.WaitGroup
	stop  chan struct{}
	once  sync.Once
}

// Listen binds the address; Start begins to accept.
func Listen(addr string, log *slog.Logger) (*Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Listener{ln: ln, log: log, stop: make(chan struct{})}, nil
}

// Addr is the bound address.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Start accepts into the loops, in the background.
func (l *Listener) Start(loops []Loop) {
	l.loops = loops
	l.done.Add(1)
	go l.accept()
}

// Close stops accepting; accepted connections live on in their loops.
func (l *Listener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.stop)
		err = l.ln.Close()
		l.done.Wait()
	})
	return err
}

// longestPause bounds the back-off after a failing accept: descriptors that
// come free are used within this time.
const longestPause = time.Second

func (l *Listener) accept() {
	defer l.done.Done()
	pause := 5 * time.Millisecond
	for {
		c, err := l.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors or memory: what is open must live on, and
			// accepting resumes by itself.
			l.log.Warn("cannot accept a connection", "error", err, "again_in", pause)
			select {
			case <-l.stop:
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, longestPause)
			continue
		}
		pause = 5 * time.Millisecond
		if err := l.fewest().AddAgent(c); err != nil {
			l.log.Warn("cannot take a connection", "peer", c.RemoteAddr(), "error", err)
			c.Close()
		}
	}
}

func (l *Listener) fewest() Loop {
	best, least := l.loops[0], l.loops[0].Sessions()
	for _, lp := range l.loops[1:] {
		if n := lp.Sessions(); n < least {
			best, least = lp, n
		}
	}
	return best
}
