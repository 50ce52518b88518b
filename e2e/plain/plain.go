// Package plain is an agent written from docs/PROTOCOL.md alone, without the
// library: what the library gets wrong on both sides, it does not.
package plain

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"sluice/e2e/oracle"
)

// Agent is an agent as somebody would write it from the protocol's page: no
// HELLO, no PING. It sends again what a NACK says, and on a new connection
// whatever had no answer on the last one. Safe for concurrent use.
type Agent struct {
	addrs []string
	book  *oracle.Book

	mu       sync.Mutex
	moved    sync.Cond
	waiting  []int // packets to be sent, the oldest first
	inFlight []int // sent on this connection and unanswered, in order; -1: answered by a NACK
	first    int   // frame number of inFlight's front
	frames   int   // credit
	bytes    int
	sent     int // bytes on this connection
	leaving  bool
	err      error // why the connection is over
	pause    time.Time
	closing  bool
	gaveUp   bool
	held     int // packets without an answer
	resends  int // sent again because their connection was lost
	connects int
	busy     int

	cancel context.CancelFunc
	done   chan struct{}
}

// plainUnanswered is how many packets may wait for an answer before Send waits.
const plainUnanswered = 8192

// New starts an agent that tries the addresses in turn.
func New(addrs []string, book *oracle.Book) *Agent {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Agent{addrs: addrs, book: book, cancel: cancel, done: make(chan struct{})}
	p.moved.L = &p.mu
	go p.run(ctx)
	return p
}

// Send hands in packet n; false: the agent is closing.
func (p *Agent) Send(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held >= plainUnanswered && !p.closing {
		p.moved.Wait()
	}
	if p.closing {
		return false
	}
	p.held++
	p.waiting = append(p.waiting, n)
	p.moved.Broadcast()
	return true
}

// Close waits until everything is answered, at most until ctx ends.
func (p *Agent) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closing = true
	p.moved.Broadcast()
	p.mu.Unlock()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.mu.Lock()
		p.gaveUp = true
		p.fail(ctx.Err())
		p.mu.Unlock()
		p.cancel()
		<-p.done
	}
	if p.held > 0 {
		return fmt.Errorf("plain agent %d: %d packets without an answer", p.book.Agent, p.held)
	}
	return nil
}

// Resends counts what was sent again because its connection was lost.
func (p *Agent) Resends() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.resends
}

// Busy counts the answers that told it to come again later.
func (p *Agent) Busy() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy
}

func (p *Agent) over() bool { return p.gaveUp || p.closing && p.held == 0 }

// run connects and serves until nothing is left to do.
func (p *Agent) run(ctx context.Context) {
	defer close(p.done)
	for i := 0; ; i++ {
		p.mu.Lock()
		over := p.over()
		p.mu.Unlock()
		if over {
			return
		}
		var d net.Dialer
		dialCtx, cancel := context.WithTimeout(ctx, 2*time.Second)
		c, err := d.DialContext(dialCtx, "tcp", p.addrs[i%len(p.addrs)])
		cancel()
		if err == nil {
			p.serve(c)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20*time.Millisecond + rand.N(60*time.Millisecond)):
		}
	}
}

// serve sends over one connection until it ends.
func (p *Agent) serve(c net.Conn) {
	p.mu.Lock()
	p.inFlight, p.first, p.frames, p.bytes, p.sent = nil, 1, firstFrames, firstBytes, 0
	p.leaving, p.err, p.pause = false, nil, time.Time{}
	p.connects++
	p.mu.Unlock()
	ended := make(chan struct{})
	go p.read(c, ended)
	var out []byte
	for {
		p.mu.Lock()
		for p.err == nil && !p.over() && !p.maySend() && !(p.leaving && p.unanswered() == 0) {
			p.moved.Wait()
		}
		if p.err != nil || !p.maySend() {
			p.mu.Unlock()
			break
		}
		out = out[:0]
		for len(out) < 64<<10 && p.maySend() {
			n := p.waiting[0]
			p.waiting = p.waiting[1:]
			before := len(out)
			out = AppendFrame(out, p.book.Agent, n)
			p.sent += len(out) - before
			p.inFlight = append(p.inFlight, n)
		}
		p.mu.Unlock()
		if _, err := c.Write(out); err != nil {
			p.mu.Lock()
			p.fail(err)
			p.mu.Unlock()
			break
		}
	}
	c.Close()
	<-ended
	p.mu.Lock()
	defer p.mu.Unlock()
	var again []int
	for _, n := range p.inFlight {
		if n >= 0 {
			again = append(again, n)
		}
	}
	p.resends += len(again)
	p.waiting = append(again, p.waiting...)
	p.inFlight = nil
}

func (p *Agent) fail(err error) {
	if p.err == nil {
		p.err = err
	}
	p.moved.Broadcast()
}

// largestPlain is more than any of our frames has, header included.
const largestPlain = 1024

func (p *Agent) maySend() bool {
	return len(p.waiting) > 0 && !p.leaving && !p.gaveUp && time.Now().After(p.pause) &&
		p.first+len(p.inFlight) <= p.frames && p.sent+largestPlain <= p.bytes
}

func (p *Agent) unanswered() (n int) {
	for _, f := range p.inFlight {
		if f >= 0 {
			n++
		}
	}
	return n
}

// read takes answers until the connection fails.
func (p *Agent) read(c net.Conn, ended chan<- struct{}) {
	defer close(ended)
	in := bufio.NewReader(c)
	for {
		a, err := readAnswer(in)
		p.mu.Lock()
		if err == nil {
			err = p.answer(a)
			if err != nil {
				p.book.Fault("%v", err)
			}
		}
		if err != nil {
			p.fail(err)
			p.mu.Unlock()
			c.Close()
			return
		}
		p.moved.Broadcast()
		p.mu.Unlock()
	}
}

var errPinged = errors.New("was PINGed, and had said no HELLO")

// answer acts on a control frame. An error is a breach of the protocol.
func (p *Agent) answer(a answer) error {
	sent := p.first + len(p.inFlight) - 1
	switch a.op {
	case opAck:
		if a.n > sent || a.n < p.first-1 {
			return fmt.Errorf("ACK %d, frames up to %d were sent and up to %d acknowledged", a.n, sent, p.first-1)
		}
		p.frames, p.bytes = max(p.frames, a.frames), max(p.bytes, a.bytes)
		for ; p.first <= a.n; p.first++ {
			if n := p.inFlight[0]; n >= 0 {
				p.held--
				p.book.Acked(n)
			}
			p.inFlight = p.inFlight[1:]
		}
	case opNack:
		if a.n < p.first || a.n+a.count-1 > sent {
			return fmt.Errorf("NACK of %d to %d, frames %d to %d are unanswered", a.n, a.n+a.count-1, p.first, sent)
		}
		for i := a.n - p.first; i < a.n-p.first+a.count; i++ {
			if p.inFlight[i] < 0 {
				return fmt.Errorf("second NACK of frame %d", p.first+i)
			}
			p.nacked(p.inFlight[i], a)
			p.inFlight[i] = -1
		}
	case opGoaway:
		p.leaving = true
		if a.code != 0 {
			return fmt.Errorf("GOAWAY %d", a.code)
		}
	case opPing:
		return errPinged
	}
	return nil
}

func (p *Agent) nacked(n int, a answer) {
	switch a.code {
	case codeBusy, codeUnavailable, codeDraining:
		p.busy++
		p.waiting = append(p.waiting, n)
		p.leaving = p.leaving || a.code == codeDraining
		if a.retry > 0 && time.Now().After(p.pause) {
			p.pause = time.Now().Add(a.retry)
			time.AfterFunc(a.retry+time.Millisecond, p.moved.Broadcast)
		}
	default:
		p.held--
		p.book.Refused(n, fmt.Sprintf("NACK code %d", a.code))
	}
}
