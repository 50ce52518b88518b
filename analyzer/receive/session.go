package receive

import (
	"time"

	"sluice/protocol"
)

// Packet is one valid LogPacket. It and everything it points to is borrowed
// until the call it was given to returns.
type Packet struct {
	ID, AgentID []byte    // packet_id and agent_id; their UTF-8 is not checked
	Messages    int       // how many messages Body holds
	Body        []byte    // the plain msgpack map, scanned; inflated if it came compressed
	WireBytes   int       // header + body as they came
	Received    time.Time // when its batch was taken up
}

// Decode decodes the packet into p, which keeps nothing of it. A packet that
// was given to a handler decodes without an error.
func (p *Packet) Decode(into *protocol.LogPacket) error {
	return protocol.DecodePacket(p.Body, into)
}

// Session consumes what comes over one connection. Its methods are called by
// one goroutine at a time.
type Session interface {
	// Packet takes one valid packet. Its error is the answer, see the package
	// documentation; nil means that the next Flush decides.
	Packet(p *Packet) error

	// Invalid is told of each frame that was no LogPacket and was refused.
	Invalid(err error)

	// Flush ends a batch: it is called before the ACK of the packets since the
	// last Flush is written. What must survive us has to be with the kernel
	// when it returns nil. An error turns the ACK into a NACK of all of them.
	Flush() error

	// End is called last, when the connection is gone.
	End()
}

// Refusal is an error whose code is the answer to the sender.
type Refusal struct {
	Code       protocol.NackCode
	RetryAfter time.Duration // 0: the sender's own back-off
	Text       string
}

func (r *Refusal) Error() string { return r.Code.String() + ": " + r.Text }

// handlerSession is the Session of a plain handler function.
type handlerSession func(*Packet) error

func (h handlerSession) Packet(p *Packet) error { return h(p) }
func (h handlerSession) Invalid(error)          {}
func (h handlerSession) Flush() error           { return nil }
func (h handlerSession) End()                   {}
