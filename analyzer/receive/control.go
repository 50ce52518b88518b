package receive

import (
	"fmt"

	"sluice/protocol"
)

// control takes one control frame of the sender. Its caller holds the lock.
func (c *conn) control(body []byte) *fault {
	var ctl protocol.Control
	if err := protocol.ParseControl(body, &ctl); err != nil {
		return &fault{protocol.GoawayProtocol, "malformed control frame: " + err.Error()}
	}
	switch ctl.Op {
	case protocol.OpHello:
		return c.hello(ctl.Hello)
	case protocol.OpPing:
		c.answers.pong(ctl.Echo)
		c.writeIfMuch()
	case protocol.OpPong: // we send no PING, and mind no answer
	case protocol.OpWelcome, protocol.OpAck, protocol.OpNack, protocol.OpGoaway:
		return &fault{protocol.GoawayProtocol, fmt.Sprintf("control frame %d is the receiver's to send", ctl.Op)}
	}
	return nil // unknown opcodes are how the protocol grows
}

// hello answers a HELLO, which must be the first frame of its connection.
// Whatever token it carries is not asked for.
func (c *conn) hello(h protocol.Hello) *fault {
	if c.started {
		return &fault{protocol.GoawayProtocol, "HELLO must be the first frame"}
	}
	if h.Version < protocol.Version {
		return &fault{protocol.GoawayProtocol, fmt.Sprintf("no common version: %d offered, %d spoken here", h.Version, protocol.Version)}
	}
	cfg := &c.srv.cfg
	c.grantFrames, c.grantBytes = uint64(cfg.WindowFrames), uint64(cfg.WindowBytes)
	c.answers.welcome(protocol.Welcome{
		Version: protocol.Version, Server: cfg.Name,
		Frames: c.grantFrames, Bytes: c.grantBytes, MaxFrame: cfg.MaxFrame,
		Compression: []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip},
	})
	return nil
}

// refuse answers a data frame that was just counted and is not admitted: it
// is past the credit, or comes after GOAWAY.
func (c *conn) refuse(size int) *fault {
	cfg := &c.srv.cfg
	switch {
	case c.frames > c.grantFrames+uint64(cfg.WindowFrames),
		c.bytes > c.grantBytes+uint64(cfg.WindowBytes) && size <= cfg.WindowBytes:
		return &fault{protocol.GoawayOverload, "sent more than a window past the credit"}
	case c.draining:
		c.answers.nack(c.frames, protocol.NackDraining, 0, "shutting down")
	default:
		c.answers.nack(c.frames, protocol.NackBusy, retryBusy, "past the credit")
	}
	c.settle(1, uint64(size))
	c.writeIfMuch()
	return nil
}

// refuseLength answers a length that no frame can have. Where the next frame
// begins is unknown from here on.
func (c *conn) refuseLength(err *protocol.LengthError) *fault {
	c.frames++
	c.answers.nack(c.frames, protocol.NackTooLarge, 0, err.Error())
	c.settle(1, 0)
	return &fault{protocol.GoawayProtocol, err.Error()}
}
