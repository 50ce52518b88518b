package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// natsConn speaks as much of the NATS protocol as it takes to publish and to
// count, in order that the library's cost is not the server's: docs.nats.io,
// "Client Protocol".
type natsConn struct {
	net.Conn
	in *bufio.Reader
}

func newNATSConn(conn net.Conn) *natsConn {
	return &natsConn{Conn: conn, in: bufio.NewReaderSize(conn, readSize)}
}

// connect says who we are, and waits until the server has agreed.
func (c *natsConn) connect() error {
	if line, err := c.in.ReadSlice('\n'); err != nil || !bytes.HasPrefix(line, []byte("INFO ")) {
		return fmt.Errorf("no INFO but %q (%w)", line, err)
	}
	_, err := c.Write([]byte(`CONNECT {"verbose":false,"pedantic":false,"lang":"go","version":"1","protocol":1}` + "\r\n"))
	if err != nil {
		return err
	}
	if err := c.ping(); err != nil {
		return err
	}
	return c.serve(func() {})
}

func (c *natsConn) ping() error {
	_, err := c.Write([]byte("PING\r\n"))
	return err
}

// serve calls got for each record, answers PINGs, and returns with the next PONG.
func (c *natsConn) serve(got func()) error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch {
		case bytes.HasPrefix(line, []byte("MSG ")):
			line = bytes.TrimSpace(line)
			size, err := strconv.Atoi(string(line[bytes.LastIndexByte(line, ' ')+1:]))
			if err != nil || size < 0 || size+2 > c.in.Size() {
				return fmt.Errorf("odd message header %q", line)
			}
			body, err := c.in.Peek(size + 2)
			if err != nil {
				return err
			}
			if !bytes.HasSuffix(body, []byte("\r\n")) {
				return errors.New("a message does not end where its header says")
			}
			c.in.Discard(size + 2) // is buffered, cannot fail
			got()
		case bytes.HasPrefix(line, []byte("PING")):
			if _, err := io.WriteString(c, "PONG\r\n"); err != nil {
				return err
			}
		case bytes.HasPrefix(line, []byte("PONG")):
			return nil
		case bytes.HasPrefix(line, []byte("-ERR")):
			return fmt.Errorf("nats-server: %s", bytes.TrimSpace(line))
		}
	}
}
