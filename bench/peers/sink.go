package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// sinkCmd is a sink that counts records. With lines it listens at Addr; with
// nats it connects there and subscribes Members times in one queue group. To
// each line on its standard input it answers with a count as JSON; when that
// ends, so does the sink.
type sinkCmd struct {
	Dialect dialect
	Addr    string
	Members int
}

// count is what a sink has received so far.
type count struct {
	Ready   bool      `json:"ready"` // it can receive
	Records uint64    `json:"records"`
	Last    time.Time `json:"last"`            // when the last one came
	Error   string    `json:"error,omitempty"` // why it receives no more
}

// readSize is how much a sink reads at once, as an analyzer does.
const readSize = 256 << 10

// counter is a count that changes. Safe for concurrent use.
type counter struct {
	records, last atomic.Int64
	ready         atomic.Bool
	mu            sync.Mutex
	err           error
}

func (c *counter) add(n int) {
	if n > 0 {
		c.records.Add(int64(n))
		c.last.Store(time.Now().UnixNano())
	}
}

func (c *counter) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = errors.Join(c.err, err)
}

func (c *counter) count() count {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := count{Ready: c.ready.Load(), Records: uint64(c.records.Load()), Last: time.Unix(0, c.last.Load())}
	if c.err != nil {
		n.Error = c.err.Error()
	}
	return n
}

func (c *sinkCmd) Run(ctx context.Context) error {
	var n counter
	if c.Dialect == nats {
		go func() { n.fail(subscribe(ctx, c.Addr, c.Members, &n)) }()
	} else {
		l, err := net.Listen("tcp", c.Addr)
		if err != nil {
			return err
		}
		defer l.Close()
		n.ready.Store(true)
		go acceptLines(l, &n)
	}
	ended := make(chan error, 1)
	go func() { ended <- answer(os.Stdin, os.Stdout, &n) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done(): // SIGTERM
		return nil
	}
}

// answer tells the count for each line that it reads.
func answer(in io.Reader, out io.Writer, n *counter) error {
	asked, answers := bufio.NewScanner(in), json.NewEncoder(out)
	for asked.Scan() {
		if err := answers.Encode(n.count()); err != nil {
			return err
		}
	}
	return asked.Err()
}

func acceptLines(l net.Listener, n *counter) {
	for {
		conn, err := l.Accept()
		if err != nil {
			n.fail(err)
			return
		}
		go func() {
			defer conn.Close()
			if err := countLines(conn, n); err != nil {
				n.fail(err)
			}
		}()
	}
}

// countLines counts until the connection ends.
func countLines(conn io.Reader, n *counter) error {
	buf := make([]byte, readSize)
	for {
		k, err := conn.Read(buf)
		n.add(bytes.Count(buf[:k], []byte{'\n'}))
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// subscribe counts what a queue group gives to this many members of it.
func subscribe(ctx context.Context, addr string, members int, n *counter) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	conn, err := net.Dial("tcp", addr)
	for err != nil { // the server starts after its sinks
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
			conn, err = net.Dial("tcp", addr)
		}
	}
	defer conn.Close()
	c := newNATSConn(conn)
	if err := c.connect(); err != nil {
		return err
	}
	for sid := range members {
		if _, err := fmt.Fprintf(c, "SUB %s sinks %d\r\n", subject, sid+1); err != nil {
			return err
		}
	}
	// Counted when all that was read is used up: a clock and two atomics for
	// each record would take the sink's CPU from what is measured.
	pending := 0
	got := func() {
		if pending++; c.in.Buffered() == 0 {
			n.add(pending)
			pending = 0
		}
	}
	// The PONG says that the subscriptions are known.
	if err := c.ping(); err != nil {
		return err
	}
	if err := c.serve(got); err != nil {
		return err
	}
	n.ready.Store(true)
	for {
		if err := c.serve(got); err != nil {
			n.add(pending)
			return err
		}
	}
}
