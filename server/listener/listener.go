// Package listener accepts agents' connections, within limits, and hands each
// to the loop with the fewest. gnet's own acceptor is not used: one failing
// accept (EMFILE) would shut its whole engine down.
package listener

import (
	"log/slog"
	"net"
	"sync"
	"time"

	"sluice/internal/ratelog"
)

// Loop takes agents' connections and says how many it has.
type Loop interface {
	// AddAgent takes the connection in any case. Without an error it calls ended
	// exactly once when the connection is gone, maybe before it returns; with an
	// error the connection is closed and ended is not called.
	AddAgent(c net.Conn, ended func()) error
	Agents() int
}

// Config is what a Listener needs. Immutable.
type Config struct {
	Addr           string // host:port
	MaxConnections int    // open at a time; 0: any number
	MaxPerIP       int    // of one IPv4 address or one IPv6 /64; 0: any number
	Logger         *slog.Logger
}

// Listener accepts until Close.
//
// There is no spare descriptor to close when descriptors run out, so that one
// connection can be accepted and told so, as other servers have it. The limit
// on connections does that work: main chooses it so that descriptors are left
// over when it is reached (capacity.Fit), and then every further connection is
// accepted, told GOAWAY overload and closed. What remains is a machine that is
// out of descriptors as a whole, or a wrong sum: connections then wait in the
// kernel's backlog, which costs us nothing, until an accept succeeds again. (One
// for each try may be closed without a word: see acceptOne.)
//
// Safe for concurrent use.
type Listener struct {
	cfg     Config
	ln      net.Listener
	loops   []Loop
	log     *ratelog.Limiter
	after   func(time.Duration) <-chan time.Time
	limiter connLimiter
	counts  counts

	lingering chan struct{} // one for each refused connection that is being told so
	done      sync.WaitGroup
	stop      chan struct{}
	once      sync.Once
}

// Listen binds the address; Start begins to accept.
func Listen(cfg Config) (*Listener, error) {
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, err
	}
	return newListener(cfg, ln), nil
}

func newListener(cfg Config, ln net.Listener) *Listener {
	l := &Listener{cfg: cfg, ln: ln, log: ratelog.New(cfg.Logger, time.Now), after: time.After,
		lingering: make(chan struct{}, maxLingering), stop: make(chan struct{})}
	l.limiter.init(cfg.MaxConnections, cfg.MaxPerIP)
	return l
}

// Limit changes the limits (see Config) for connections from now on; open ones
// stay.
func (l *Listener) Limit(maxConnections, maxPerIP int) { l.limiter.limit(maxConnections, maxPerIP) }

// Addr is the bound address.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Start accepts into the loops, in the background.
func (l *Listener) Start(loops []Loop) {
	l.loops = loops
	l.done.Add(1)
	go l.accept()
}

// Close stops accepting; accepted connections live on in their loops. It waits
// for those that were just refused, at most a second.
func (l *Listener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.stop)
		err = l.ln.Close()
		l.done.Wait()
		l.log.Flush()
	})
	return err
}
