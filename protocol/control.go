package protocol

import (
	"math"
	"time"

	"sluice/internal/msgpack"
)

// Opcode is the first element of a control frame.
type Opcode uint8

// The control frames of protocol 1. A reader ignores any other.
const (
	OpHello Opcode = iota + 1
	OpWelcome
	OpAck
	OpNack
	OpPing
	OpPong
	OpGoaway
)

func (o Opcode) String() string {
	names := [...]string{"unknown", "hello", "welcome", "ack", "nack", "ping", "pong", "goaway"}
	if int(o) >= len(names) {
		return names[0]
	}
	return names[o]
}

// NackCode says why a data frame was not delivered.
type NackCode uint8

// The reasons of a NACK.
const (
	NackBusy         NackCode = iota + 1 // resend later
	NackUnavailable                      // nobody took it within the retry limit; resend later
	NackInvalid                          // never resend
	NackTooLarge                         // never resend
	NackUnauthorized                     // the connection closes
	NackDraining                         // resend on another connection
)

func (c NackCode) String() string {
	names := [...]string{"unknown", "busy", "unavailable", "invalid", "too_large", "unauthorized", "draining"}
	if int(c) >= len(names) {
		return names[0]
	}
	return names[c]
}

// GoawayCode says why a receiver wants nothing new on a connection.
type GoawayCode uint8

// The reasons of a GOAWAY.
const (
	GoawayDrain GoawayCode = iota
	GoawayProtocol
	GoawayUnauthorized
	GoawayIdle
	GoawayOverload // of this connection
)

func (c GoawayCode) String() string {
	names := [...]string{"drain", "protocol_error", "unauthorized", "idle", "overload"}
	if int(c) >= len(names) {
		return "unknown"
	}
	return names[c]
}

// Hello is what a sender says of itself. Version is the highest it speaks.
type Hello struct {
	Version int
	Agent   string // at most MaxIDBytes
	Token   string

	// Via are the identities of the distributors that packets of this connection
	// may have passed; none: the sender is an agent. At most MaxHops of them.
	Via []string
}

// Welcome is what a receiver offers: the version that rules, the first credit
// and what it accepts.
type Welcome struct {
	Version       int
	Server        string
	Frames, Bytes uint64 // absolute credit
	MaxFrame      int    // bytes of body
	Compression   []Compression

	// Reach are the identities of the distributors that packets of this connection
	// may get to; none: the receiver is an analyzer. At most MaxHops of them.
	Reach []string
}

// Bounds of what HELLO and WELCOME tell of distributors.
const (
	MaxHops     = 32 // identities that count; further ones are ignored
	MaxHopBytes = 64 // of one identity
)

// Control is any control frame; Op says which fields count.
type Control struct {
	Op            Opcode        // 0 for an opcode above 255
	N             uint64        // ACK, NACK
	Frames, Bytes uint64        // ACK: absolute credit
	Code          uint8         // NACK, GOAWAY: a NackCode or a GoawayCode, perhaps of a later protocol
	RetryAfter    time.Duration // NACK, at most MaxRetryAfter
	Count         uint64        // NACK: at least 1, and N+Count-1 does not overflow
	Text          []byte        // NACK, GOAWAY: for people; borrowed from the body
	Echo          []byte        // PING, PONG: x as it came, one msgpack value; borrowed
	Hello         Hello
	Welcome       Welcome
}

// MaxRetryAfter is the longest wait that a NACK can ask for; more counts as
// this much.
const MaxRetryAfter = time.Hour

// ParseControl reads the body of a control frame into c, which is overwritten.
// An opcode that is not known gives no error, and its elements are not looked
// at beyond being msgpack; elements beyond the known ones are ignored. Every
// error is an *[InvalidError] made in advance and means that the frame is
// malformed. ACK, NACK, PING, PONG and GOAWAY are parsed without allocation.
func ParseControl(body []byte, c *Control) error {
	if len(body) > MaxControlFrame {
		return invalid(fieldControl, tooLong)
	}
	*c = Control{}
	elements, i, r := msgpack.ArrayHead(body, 0)
	if r != ok {
		return invalid(fieldControl, r)
	}
	p := controlParser{b: body, i: i, left: elements}
	switch op := p.uint(); {
	case p.fault != ok:
	case op <= math.MaxUint8:
		c.Op = Opcode(op)
		p.elements(c)
	}
	for p.fault == ok && p.left > 0 {
		p.value()
	}
	if p.fault == ok && p.i != len(body) {
		p.fault = trailing
	}
	if p.fault != ok {
		return invalid(fieldControl, p.fault)
	}
	return nil
}

func (p *controlParser) elements(c *Control) {
	switch c.Op {
	case OpHello:
		p.hello(&c.Hello)
	case OpWelcome:
		p.welcome(&c.Welcome)
	case OpAck:
		c.N, c.Frames, c.Bytes = p.uint(), p.uint(), p.uint()
	case OpNack:
		p.nack(c)
	case OpPing, OpPong:
		c.Echo = p.value()
	case OpGoaway:
		c.Code = p.code()
		c.Text = p.str()
	}
}

func (p *controlParser) nack(c *Control) {
	c.N = p.uint()
	c.Code = p.code()
	c.RetryAfter = time.Duration(min(p.uint(), uint64(MaxRetryAfter/time.Millisecond))) * time.Millisecond
	c.Text = p.str()
	c.Count = 1
	if p.left > 0 {
		c.Count = p.uint()
	}
	if p.fault == ok && (c.N == 0 || c.Count == 0 || c.N+c.Count-1 < c.N) {
		p.fault = outOfRange
	}
}

// hello reads the map of a HELLO. v is required; keys that are not known are
// ignored.
func (p *controlParser) hello(h *Hello) {
	const sawVersion, sawAgent, sawToken, sawVia = 1, 2, 4, 8
	seen := 0
	for pairs := p.pairs(); pairs > 0 && p.fault == ok; pairs-- {
		switch string(p.key()) {
		case "v":
			p.once(&seen, sawVersion)
			h.Version = p.version()
		case "agent":
			p.once(&seen, sawAgent)
			h.Agent = string(p.mapStr())
			if len(h.Agent) > MaxIDBytes {
				p.fail(outOfRange)
			}
		case "token":
			p.once(&seen, sawToken)
			h.Token = string(p.mapStr())
		case "via":
			p.once(&seen, sawVia)
			h.Via = p.hops()
		default:
			p.mapValue()
		}
	}
	if seen&sawVersion == 0 {
		p.fail(missing)
	}
}

// welcome reads the map of a WELCOME. v is required. What else is absent is
// what holds without a WELCOME, so that an analyzer of a page may say {"v": 1}.
func (p *controlParser) welcome(w *Welcome) {
	const sawVersion, sawServer, sawFrames, sawBytes, sawMaxFrame, sawCompression, sawReach = 1, 2, 4, 8, 16, 32, 64
	w.Frames, w.Bytes, w.MaxFrame = FirstCreditFrames, FirstCreditBytes, DefaultMaxFrame
	seen := 0
	for pairs := p.pairs(); pairs > 0 && p.fault == ok; pairs-- {
		switch string(p.key()) {
		case "v":
			p.once(&seen, sawVersion)
			w.Version = p.version()
		case "server":
			p.once(&seen, sawServer)
			w.Server = string(p.mapStr())
		case "frames":
			p.once(&seen, sawFrames)
			w.Frames = p.mapUint()
		case "bytes":
			p.once(&seen, sawBytes)
			w.Bytes = p.mapUint()
		case "max_frame":
			p.once(&seen, sawMaxFrame)
			w.MaxFrame = int(min(p.mapUint(), math.MaxInt32))
			if w.MaxFrame == 0 {
				p.fail(outOfRange)
			}
		case "compression":
			p.once(&seen, sawCompression)
			w.Compression = p.compressions()
		case "reach":
			p.once(&seen, sawReach)
			w.Reach = p.hops()
		default:
			p.mapValue()
		}
	}
	if seen&sawVersion == 0 {
		p.fail(missing)
	}
}

// compressions keeps the names that are known; others are of a later protocol.
func (p *controlParser) compressions() (known []Compression) {
	p.mapStrs(func(name []byte) {
		for c := Zstd; c <= Gzip; c++ {
			if string(name) == c.String() {
				known = append(known, c)
			}
		}
	})
	return known
}

// hops reads identities of distributors.
func (p *controlParser) hops() (ids []string) {
	p.mapStrs(func(id []byte) {
		if len(id) == 0 || len(id) > MaxHopBytes {
			p.fail(outOfRange)
		} else if len(ids) < MaxHops {
			ids = append(ids, string(id))
		}
	})
	return ids
}

// mapStrs reads an array of str and gives each to take, until something is wrong.
func (p *controlParser) mapStrs(take func([]byte)) {
	if p.fault != ok {
		return
	}
	count, i, r := msgpack.ArrayHead(p.b, p.i)
	if r != ok {
		p.fault = r
		return
	}
	p.i = i
	for ; count > 0 && p.fault == ok; count-- {
		if s := p.mapStr(); p.fault == ok {
			take(s)
		}
	}
}
