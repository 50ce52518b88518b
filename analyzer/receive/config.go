package receive

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"sluice/protocol"
)

// Config says what a [Server] offers and to whom it hands what comes. Exactly
// one of Handler, NewSession and Discard is set; every other zero value means
// its default.
type Config struct {
	// Name is told to senders in WELCOME.
	Name string

	// Handler is called for each valid packet, of one connection in order, of
	// several connections at once. The packet is borrowed until it returns.
	Handler func(*Packet) error

	// NewSession is for consumers that work in batches: it is called once for a
	// connection, and everything of that connection goes to what it returns.
	NewSession func(remote net.Addr) Session

	// Discard acknowledges every data frame unseen: neither scanned nor
	// inflated. Discarded, if set, is told of each batch, from several
	// goroutines at once.
	Discard   bool
	Discarded func(frames, bytes int)

	// MaxFrame is the largest body in bytes, and what a compressed one may
	// inflate to. Default 1 MiB.
	MaxFrame int

	// WindowFrames and WindowBytes (header + body) are the credit a sender gets
	// beyond what is settled. At least what senders may assume without asking
	// (4,096 frames and 4 MiB), at most 65,536 frames.
	WindowFrames, WindowBytes int

	// Delay holds each ACK back. Frames are handled at once, NACKs and PONGs
	// are not held back. 0: none.
	Delay time.Duration

	// WriteTimeout and FrameTimeout bound how long a peer may leave its answers
	// unread, and how long a frame may be on its way.
	WriteTimeout, FrameTimeout time.Duration

	// Logger gets at most one line a second of each kind, about peers that
	// misbehave.
	// Default: nothing is logged.
	Logger *slog.Logger
}

// withDefaults returns the configuration that rules, or every fault at once.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	ways := 0
	for _, set := range []bool{c.Handler != nil, c.NewSession != nil, c.Discard} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		faults = append(faults, errors.New("receive: set exactly one of Handler, NewSession and Discard"))
	}
	number := func(name string, v *int, def, least, most int) {
		if *v == 0 {
			*v = def
		}
		if *v < least || *v > most {
			faults = append(faults, fmt.Errorf("receive: %s is %d, want %d to %d", name, *v, least, most))
		}
	}
	number("MaxFrame", &c.MaxFrame, protocol.DefaultMaxFrame, 1, 1<<30)
	number("WindowFrames", &c.WindowFrames, DefaultWindowFrames, protocol.FirstCreditFrames, maxSpan)
	number("WindowBytes", &c.WindowBytes, DefaultWindowBytes, protocol.FirstCreditBytes, 1<<40)
	span := func(name string, v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
		if *v < 0 {
			faults = append(faults, fmt.Errorf("receive: %s is negative", name))
		}
	}
	span("Delay", &c.Delay, 0)
	span("WriteTimeout", &c.WriteTimeout, DefaultWriteTimeout)
	span("FrameTimeout", &c.FrameTimeout, DefaultFrameTimeout)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Handler != nil {
		handler := c.Handler
		c.NewSession = func(net.Addr) Session { return handlerSession(handler) }
	}
	return c, errors.Join(faults...)
}
