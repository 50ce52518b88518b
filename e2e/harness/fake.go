package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sluice/e2e/oracle"
	"sluice/protocol"
)

// Misbehaviour is what a fake analyzer does wrong when it is told to. Until
// then it is an honest one.
type Misbehaviour string

// Honest is none at all.
const Honest Misbehaviour = "answers as it should"

// The misbehaviours. Those that must cost the link their connection write no
// receipts for what they read meanwhile.
const (
	AckUnsent  Misbehaviour = "acknowledges what was never sent"
	NackUnsent Misbehaviour = "refuses what was never sent"
	Garbage    Misbehaviour = "sends random bytes"
	DataFrame  Misbehaviour = "sends a data frame"
	HugeFrame  Misbehaviour = "declares a frame of 2 GiB"
	AckTwice   Misbehaviour = "acknowledges twice, and less than before"
	AckFlood   Misbehaviour = "sends 10,000 ACKs a turn"
)

// Breaks says whether the distributor must close the link.
func (m Misbehaviour) Breaks() bool { return m != AckTwice && m != AckFlood }

// Fake is an analyzer inside the harness. It takes, writes receipts and
// acknowledges as a real one does, except when told otherwise. Safe for
// concurrent use.
type Fake struct {
	What Misbehaviour

	// Wrong counts the wrong answers that were written whole; Closed counts
	// connections that ended after one.
	Wrong, Closed atomic.Int64

	pace     pace
	ln       net.Listener
	bad      atomic.Bool
	mu       sync.Mutex
	receipts *os.File
	conns    map[net.Conn]bool
	done     sync.WaitGroup
}

func newFake(addr, receipts string, what Misbehaviour) (*Fake, error) {
	file, err := os.OpenFile(receipts, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		file.Close()
		return nil, err
	}
	f := &Fake{What: what, ln: ln, receipts: file, conns: map[net.Conn]bool{}}
	f.done.Add(1)
	go f.accept()
	return f, nil
}

// Misbehave switches between the fake's own way and honesty.
func (f *Fake) Misbehave(on bool) { f.bad.Store(on) }

// Pace limits what it takes in a second, over all its connections; 0: no limit.
func (f *Fake) Pace(packets float64) { f.pace.set(packets) }

// Close ends it.
func (f *Fake) Close() {
	f.ln.Close()
	f.mu.Lock()
	for c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.done.Wait()
	f.receipts.Close()
}

func (f *Fake) accept() {
	defer f.done.Done()
	for {
		c, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns[c] = true
		f.mu.Unlock()
		f.done.Go(func() {
			f.serve(c)
			f.mu.Lock()
			delete(f.conns, c)
			f.mu.Unlock()
			c.Close()
		})
	}
}

// serve is one link: a turn for each time that the reader has no more bytes.
func (f *Fake) serve(c net.Conn) {
	r := protocol.NewFrameReader(c, protocol.DefaultMaxFrame)
	var ctl protocol.Control
	var out, lines []byte
	had := 0           // of lines, before this frame
	var n, size uint64 // data frames and their bytes
	was := false       // it misbehaved here
	defer func() {
		if was {
			f.Closed.Add(1)
		}
	}()
	for {
		body, err := r.Next()
		if err != nil {
			return
		}
		if protocol.IsControl(body[0]) {
			if protocol.ParseControl(body, &ctl) != nil {
				return
			}
			switch ctl.Op {
			case protocol.OpHello:
				out = protocol.AppendWelcome(out, protocol.Welcome{Version: protocol.Version, Server: "fake", Frames: 4096, Bytes: 4 << 20,
					MaxFrame: protocol.DefaultMaxFrame, Compression: []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip}})
			case protocol.OpPing:
				out = protocol.AppendPong(out, ctl.Echo)
			}
		} else {
			n++
			size += uint64(protocol.HeaderSize + len(body))
			var s protocol.Scanned
			if protocol.Scan(body, &s) != nil {
				return // as it came from us, it would have to be sound: the packet is lost, and told so
			}
			lines = append(append(lines, s.PacketID...), '\n')
		}
		wait := time.Duration(0)
		if len(lines) > 0 && len(lines) != had {
			wait = f.pace.take()
		}
		had = len(lines)
		if r.Buffered() > 0 && wait < paceSlack {
			continue
		}
		bad := len(lines) > 0 && f.bad.Load()
		if len(lines) > 0 {
			if !bad || !f.What.Breaks() {
				f.mu.Lock()
				_, err = f.receipts.Write(lines)
				f.mu.Unlock()
				if err != nil {
					return
				}
			}
			if bad {
				was = true
				out = f.wrong(out, n, size)
			} else {
				out = protocol.AppendAck(out, n, n+4096, size+4<<20)
			}
			lines, had = lines[:0], 0
		}
		if _, err := c.Write(out); err != nil {
			return
		}
		if bad {
			f.Wrong.Add(1)
		}
		out = out[:0]
		time.Sleep(wait)
	}
}

// wrong appends this fake's idea of an answer to frames up to n.
func (f *Fake) wrong(out []byte, n, size uint64) []byte {
	frames, bytes := n+4096, size+4<<20
	switch f.What {
	case AckUnsent:
		return protocol.AppendAck(out, n+1+rand.Uint64N(5000), frames+5000, bytes)
	case NackUnsent:
		return protocol.AppendNack(out, n+40_000, protocol.NackInvalid, 0, "never sent", 3)
	case Garbage:
		out = append(out, 0, 0, 1, 0, 0xc1)
		for range 2000 {
			out = append(out, byte(rand.Uint32()))
		}
	case DataFrame:
		p := oracle.PacketOf(9999, int(n))
		return protocol.AppendFrame(out, protocol.AppendPacket(nil, &p))
	case HugeFrame:
		return append(out, 0x7f, 0xff, 0xff, 0xff, 0x93, 3) // an ACK of 2 GiB
	case AckTwice:
		for range 3 {
			out = protocol.AppendAck(out, n, frames, bytes)
		}
		return protocol.AppendAck(out, n-1, frames, bytes)
	case AckFlood:
		for range 10_000 {
			out = protocol.AppendAck(out, n, frames, bytes)
		}
	default:
		panic(fmt.Sprintf("no such misbehaviour: %q", f.What))
	}
	return out
}
