package sim

import (
	"time"

	"sluice/protocol"
)

// sink is an analyzer's side of a connection. Owned by the world.
type sink struct {
	a       *analyzer
	e       *end
	place   int
	partial []byte

	greeted, mute bool
	number        uint64 // data frames received
	bytes         uint64
	told          uint64 // the last ACK
	grantFrames   uint64
	grantBytes    uint64
	settledFrames uint64
	settledBytes  uint64

	inbox   deque[sinkFrame]
	working bool
	out     []byte
	heardAt time.Duration
	ctl     protocol.Control
}

type sinkFrame struct {
	id     packetID
	number uint64
	size   int
}

// finish closes a connection with its last words.
func (c *sink) finish() {
	c.ack()
	c.leave()
	c.e.close()
}

func (c *sink) leave() {
	conns := c.a.conns
	last := conns[len(conns)-1]
	conns[c.place], last.place = last, c.place
	c.a.conns = conns[:len(conns)-1]
}

func (c *sink) writable() {}

func (c *sink) ended(string) {
	c.leave()
	c.e.close()
}

func (c *sink) say(out []byte) {
	if !c.mute {
		c.e.write(out)
	}
	c.out = out[:0]
}

func (c *sink) readable(data []byte) {
	c.heardAt = c.a.w.now
	buf := data
	if len(c.partial) > 0 {
		c.partial = append(c.partial, data...)
		buf = c.partial
	}
	for len(buf) >= protocol.HeaderSize {
		size := protocol.FrameLength(buf)
		if size == 0 || int64(size) > int64(c.a.w.knobs.core.MaxFrame) {
			c.a.w.fail("%s is sent a frame of %d bytes", c.a.name, size)
		}
		end := protocol.HeaderSize + int(size)
		if len(buf) < end {
			break
		}
		frame := buf[:end]
		buf = buf[end:]
		if protocol.IsControl(frame[protocol.HeaderSize]) {
			c.control(frame[protocol.HeaderSize:])
		} else {
			c.frame(frame)
		}
		if c.e.closed {
			return
		}
	}
	c.partial = append(c.partial[:0], buf...)
	if c.a.w.now < c.a.lying {
		c.lie()
	}
	c.work()
}

func (c *sink) control(body []byte) {
	m := &c.ctl
	if err := protocol.ParseControl(body, m); err != nil {
		c.a.w.fail("%s is sent a malformed control frame: %v", c.a.name, err)
	}
	switch m.Op {
	case protocol.OpHello:
		if c.greeted || c.number > 0 {
			c.a.w.fail("%s: HELLO is not the first frame", c.a.name)
		}
		c.greeted = true
		k := &c.a.w.knobs
		c.grantFrames, c.grantBytes = uint64(k.sinkFrames), uint64(k.sinkBytes)
		c.say(protocol.AppendWelcome(c.out[:0], protocol.Welcome{Version: protocol.Version, Server: c.a.name,
			Frames: c.grantFrames, Bytes: c.grantBytes, MaxFrame: c.a.maxFrame,
			Compression: []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip}}))
	case protocol.OpPing:
		c.say(protocol.AppendPong(c.out[:0], m.Echo))
	case protocol.OpPong:
	default:
		c.a.w.fail("%s is sent a %v", c.a.name, m.Op)
	}
}

// frame takes a data frame.
func (c *sink) frame(frame []byte) {
	w := c.a.w
	if !c.greeted {
		w.fail("%s is sent data before its WELCOME", c.a.name)
	}
	id := w.oracle.identify(frame, c.a.name)
	c.number++
	c.bytes += uint64(len(frame))
	// One that is mute has told any credit, with an ACK for what was not sent.
	if past := !c.mute && (c.number > c.grantFrames || c.bytes > c.grantBytes); past && c.told+1 < c.number && c.settledFrames+1 < c.number {
		w.fail("%s is sent frame %d past the credit of %d frames and %d bytes (%d), with %d told", c.a.name, c.number, c.grantFrames, c.grantBytes, c.bytes, c.told)
	}
	if c.a.draining {
		c.say(protocol.AppendNack(c.out[:0], c.number, protocol.NackDraining, 0, "shutting down", 1))
		c.settledFrames++
		c.settledBytes += uint64(len(frame))
		return
	}
	c.inbox.push(sinkFrame{id, c.number, len(frame)})
}

const (
	batchTime   = 20 * time.Millisecond // handled before the next ACK
	batchFrames = 256
)

// work handles a batch of the inbox, which takes its time.
func (c *sink) work() {
	a := c.a
	if c.working || c.e.closed {
		return
	}
	if c.inbox.n == 0 {
		c.ack() // what was refused on arrival
		return
	}
	c.working = true
	n := min(c.inbox.n, batchFrames)
	if a.perFrame > 0 {
		n = max(1, min(n, int(batchTime/a.perFrame)))
	}
	cost := time.Duration(n)*a.perFrame + a.w.upTo(100*time.Microsecond)
	a.after(max(cost, a.wedged-a.w.now), func() { c.handle(n) })
}

// handle writes the receipts of a batch, and after a moment its answers.
func (c *sink) handle(n int) {
	a, w := c.a, c.a.w
	if c.e.closed {
		return
	}
	if a.wedged > w.now {
		a.after(a.wedged-w.now, func() { c.handle(n) })
		return
	}
	out := c.out[:0]
	for range n {
		f := c.inbox.pop()
		c.settledFrames++
		c.settledBytes += uint64(f.size)
		switch {
		case w.now < a.refusing && w.chance(0.7):
			out = protocol.AppendNack(out, f.number, a.code, w.upTo(200*time.Millisecond), "not now", 1)
			if w.chance(0.05) { // the first answer counts
				out = protocol.AppendNack(out, f.number, a.code, 0, "I said, not now", 1)
			}
		case w.now < a.strict && w.chance(0.1):
			w.oracle.mark(f.id, markFinal)
			out = protocol.AppendNack(out, f.number, protocol.NackInvalid, 0, "I do not like it", 1)
		default:
			w.oracle.receipt(f.id, a.name)
			a.handled++
		}
	}
	if len(out) > 0 {
		c.say(out)
	}
	upTo := c.upTo()
	a.after(a.ackDelay/2+w.upTo(a.ackDelay), func() {
		if !c.e.closed {
			c.ackUpTo(upTo)
		}
	})
	c.working = false
	c.work()
}

// upTo is the largest number up to which all is settled.
func (c *sink) upTo() uint64 {
	if c.inbox.n > 0 {
		return c.inbox.at(0).number - 1
	}
	return c.number
}

func (c *sink) ack() {
	if !c.working {
		c.ackUpTo(c.upTo())
	}
}

// ackUpTo tells what is settled, and gives credit.
func (c *sink) ackUpTo(n uint64) {
	if c.mute || !c.greeted {
		return
	}
	k := &c.a.w.knobs
	n = max(n, c.told)
	frames, bytes := c.grantFrames, c.grantBytes
	if c.a.w.now >= c.a.frozen {
		frames = max(frames, min(c.settledFrames+uint64(k.sinkLater), n+protocol.MaxCreditSpan))
		bytes = max(bytes, c.settledBytes+uint64(k.sinkBytes))
	}
	if n == c.told && frames == c.grantFrames && bytes == c.grantBytes {
		return
	}
	c.told, c.grantFrames, c.grantBytes = n, frames, bytes
	c.say(protocol.AppendAck(c.out[:0], n, frames, bytes))
}

// lie acknowledges all that was received, handled or not.
func (c *sink) lie() {
	for i := range c.inbox.n {
		c.a.w.oracle.mark(c.inbox.at(i).id, markLied)
	}
	if c.number > c.told && c.greeted && !c.mute {
		c.ackUpTo(c.number)
	}
}
