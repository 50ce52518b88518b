// Package client is the agent's side of Sluice: hand it packets, and it tells
// what became of each of them.
//
// Its promise: every packet that a Send accepted ends in exactly one
// [Outcome], whatever happens to connections in between. It sends within the
// credit that the receiver gives, sends again what was answered "busy" or
// "unavailable" (after the time that the receiver asked for, and with a smaller
// window of its own), reconnects with a jittered back-off, and then sends again
// what had no answer. Packets keep their packet_id, so a receiver can drop what it
// has seen: delivery is at least once.
//
// How a packet travels: Send appends its frame to a chunk under one mutex. One
// goroutine writes all that is ready and that the credit allows in one write of
// up to 256 KiB; another reads answers, and settles all frames that an ACK
// covers in one step. The obvious way, a channel of packets and a future for
// each, costs more per packet than everything the protocol does. Here a packet
// costs a copy, and three visits to a 32-byte entry that stays in its place: one
// ring holds all that has no answer, and what was sent is the front of it.
package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"sluice/internal/dial"
	"sluice/internal/ratelog"
	"sluice/protocol"
)

// Defaults and limits of a client; all but the durations bound its memory.
const (
	// DefaultMaxUnsettled is two of the distributor's windows: one on the wire
	// and one being filled.
	DefaultMaxUnsettled = 8192

	// DefaultMaxBuffer bounds the chunks in bytes. It is counted by capacity,
	// because one unsettled frame keeps its whole chunk.
	DefaultMaxBuffer = 32 << 20

	DefaultDialTimeout = 5 * time.Second
	DefaultMinBackoff  = 50 * time.Millisecond
	DefaultMaxBackoff  = 5 * time.Second
)

// Config says where to send and how. Only Addrs is required.
type Config struct {
	Addrs []string // host:port, tried in order, resolved anew at each dial

	// Shuffle tries Addrs in an order of this client's own, drawn once. For
	// many clients with one list: they spread over it, and those of an address
	// that is lost spread over all others and do not move to the next one
	// together. Not the default, because an order may have a meaning: the near
	// one first, or a place that the caller gave each of its clients.
	Shuffle bool

	Hello bool   // say HELLO: the receiver may then PING, and offers more credit
	Agent string // our name in the HELLO
	Token string // secret in the HELLO

	// MaxFrame refuses larger bodies (bytes) with outcome too_large, whatever
	// the receiver would take. 0: only the receiver's limit counts.
	MaxFrame int

	// Compression of plain bodies; needs Hello. It is used if the first
	// receiver that welcomes us accepts it, and then required of all later ones.
	Compression protocol.Compression

	// MaxUnsettled is how many packets may be without an outcome; Send blocks
	// beyond. 0: DefaultMaxUnsettled. While there is a connection Send also blocks
	// when twice as many bytes wait for it as its last writes took.
	MaxUnsettled int
	MaxBuffer    int // bytes held for them. 0: DefaultMaxBuffer

	// DialTimeout is the limit of one address that a name has. A name lookup has
	// a limit of its own, half a minute. 0: DefaultDialTimeout.
	DialTimeout time.Duration

	MinBackoff, MaxBackoff time.Duration // 0: the defaults

	// OnOutcome is told the outcome of each packet, by the tag that Send was
	// given. It is never called by two goroutines at once. It must return soon,
	// and must not call Send or Close: the answers of others wait for it.
	OnOutcome func(tag uint64, o Outcome)

	Logger *slog.Logger // nil: silent

	// Dial replaces our own way of connecting, for tests and for unusual
	// transports. It has no limit but its own; ctx ends with the client.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

// Outcome is the end of a packet's way.
type Outcome struct {
	// Delivered: one analyzer has acknowledged it.
	Delivered bool

	// Code says why it was not delivered: NackInvalid, NackTooLarge,
	// NackUnauthorized. 0: Close ended before an answer came, and the packet
	// may or may not have been delivered.
	Code protocol.NackCode
	Text string // for people

	Resends int // how often it was sent again
}

// ErrClosed is returned by Send after Close. The packet has no outcome.
var ErrClosed = errors.New("client: closed")

// Stats counts since New.
type Stats struct {
	Sent      uint64 // frames given to a socket, resends included
	SentBytes uint64 // of them, header and body
	Delivered uint64 // packets
	Failed    uint64 // packets with another outcome
	Busy      uint64 // frames answered busy or unavailable
	Resends   uint64 // frames that had been sent before
	Connects  uint64 // connections made
	TimedOut  uint64 // of them, ended because frames did not get through in time
	Unsettled int    // packets without an outcome
	Window    int    // frames in flight that the client allows itself after busy; 0: the credit alone counts
	Connected bool
	LastError error // why the last connection or dial ended; nil before the first
}

// Client sends packets over one connection at a time. Safe for concurrent use.
type Client struct {
	cfg    Config
	limits timing
	log    *slog.Logger
	dialer *dial.Dialer

	ctx    context.Context // ends when nothing is left to do, or Close gives up
	cancel context.CancelFunc
	done   chan struct{} // closed when all goroutines have ended

	pack  packer     // has a mutex of its own
	outMu sync.Mutex // held while OnOutcome is called

	// What logEnd knows; of run.
	faults        ratelog.Faults // since packets were last delivered
	untold        uint64         // of earlier ones
	deliveredThen uint64

	mu      sync.Mutex
	work    sync.Cond // run waits here; signalled only while idle is set
	idle    bool
	starved bool      // run waits for credit: more frames are no reason to wake it
	room    sync.Cond // callers of Send wait here
	waiters int

	stage       stage
	queue       ring // packets without an outcome, in the order of sending
	sent        int  // how many at its front were given to the present connection
	again       ring // to be sent again: goes before what else was not sent
	unsent      int  // bytes of the queue behind sent
	maxUnsent   int  // bytes; beyond, Send waits while there is a connection
	full        bool // unsent has reached it, and is not back at half of it
	held        int  // packets accepted or reserved, and without an outcome
	closing     bool // Close was called
	dead        bool // Close gave up
	compressing bool // see Config.Compression
	decided     bool // compressing is final
	session     *session
	window      window // our own, beside the credit
	pause       pause
	failures    int // consecutive connections without progress

	// smallSegments is tried by turns when connections stand and full-size
	// segments do not get through: a path that swallows large packets without a
	// word, where only smaller ones ever arrive.
	smallSegments bool

	stats Stats
}

// New returns a client that is connecting in the background; an address that
// cannot be reached is tried again until Close. Errors are about the
// configuration only. The caller must call Close.
func New(cfg Config) (*Client, error) {
	if len(cfg.Addrs) == 0 || slices.Contains(cfg.Addrs, "") {
		return nil, errors.New("client: Addrs needs at least one address, and no empty one")
	}
	if cfg.Compression != protocol.None && !cfg.Hello {
		return nil, errors.New("client: Compression needs Hello, because only a WELCOME allows it")
	}
	if cfg.Shuffle {
		cfg.Addrs = slices.Clone(cfg.Addrs)
		rand.Shuffle(len(cfg.Addrs), func(i, j int) {
			cfg.Addrs[i], cfg.Addrs[j] = cfg.Addrs[j], cfg.Addrs[i]
		})
	}
	setDefault(&cfg.MaxUnsettled, DefaultMaxUnsettled)
	setDefault(&cfg.MaxBuffer, DefaultMaxBuffer)
	setDefault(&cfg.DialTimeout, DefaultDialTimeout)
	setDefault(&cfg.MinBackoff, DefaultMinBackoff)
	setDefault(&cfg.MaxBackoff, max(DefaultMaxBackoff, cfg.MinBackoff))
	c := newClient(cfg, defaultTiming())
	go c.run()
	return c, nil
}

func newClient(cfg Config, limits timing) *Client {
	c := &Client{cfg: cfg, limits: limits, log: cfg.Logger, done: make(chan struct{}), window: newWindow(), maxUnsent: 2 * writeSize}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.dialer = dial.New(c.ctx, dial.Limits{Connect: cfg.DialTimeout})
	c.work.L, c.room.L = &c.mu, &c.mu
	c.pack.compression = cfg.Compression
	c.decided = cfg.Compression == protocol.None
	return c
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Stats returns the counters, all of the same moment.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Unsettled = c.held
	s.Connected = c.session != nil
	if c.window.bounded() {
		s.Window = c.window.limit
	}
	return s
}

// Close refuses new packets, waits until each accepted one has its outcome, and
// ends the connection and all goroutines. If ctx ends first, the rest get an
// outcome with Code 0, and the error wraps ctx's. After Close returns,
// OnOutcome is not called any more. Calling it again waits for the same end.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closing = true
	c.room.Broadcast()
	c.finishIfDone()
	c.wake()
	c.mu.Unlock()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	left := c.held
	c.dead = true
	c.cancel()
	if c.session != nil {
		c.session.nc.Close() // ends a write that the peer does not read
	}
	c.wake()
	c.mu.Unlock()
	<-c.done
	if left == 0 {
		return nil
	}
	return fmt.Errorf("client: %d packets without an answer: %w", left, ctx.Err())
}

// finishIfDone ends the run when Close waits and nothing is left. With c.mu.
func (c *Client) finishIfDone() {
	if c.closing && c.held == 0 {
		c.cancel()
		c.wake()
	}
}

// over says whether the run has to end. With c.mu.
func (c *Client) over() bool { return c.dead || c.closing && c.held == 0 }

// wake makes run look again for something to do. With c.mu.
func (c *Client) wake() {
	if c.idle {
		c.idle = false
		c.work.Signal()
	}
}

// wakeForFresh tells run about new frames. With c.mu.
func (c *Client) wakeForFresh() {
	if !c.starved {
		c.wake()
	}
}

// freed takes n packets that now have an outcome off the count. With c.mu.
func (c *Client) freed(n int) {
	c.held -= n
	c.offerRoom()
	c.finishIfDone()
}

// settled is an outcome on its way to OnOutcome. Nearly all are deliveries, so
// these are kept small.
type settled struct {
	tag     uint64
	resends int
	failure *Outcome // nil: delivered
}

// deliver tells outcomes to the caller. Without c.mu.
func (c *Client) deliver(outs []settled) {
	if len(outs) == 0 || c.cfg.OnOutcome == nil {
		return
	}
	c.outMu.Lock()
	defer c.outMu.Unlock()
	for i := range outs {
		if o := &outs[i]; o.failure == nil {
			c.cfg.OnOutcome(o.tag, Outcome{Delivered: true, Resends: o.resends})
		} else {
			c.cfg.OnOutcome(o.tag, *o.failure)
		}
	}
}
