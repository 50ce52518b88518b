package plain

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"sluice/e2e/oracle"
	"sluice/e2e/relay"
)

// The wire once more, in as few lines as an agent needs. It shares nothing with
// package protocol, so that a mistake there cannot hide behind itself.

const (
	opAck, opNack, opPing, opGoaway = 3, 4, 5, 7

	codeBusy, codeUnavailable, codeDraining = 1, 2, 6

	firstFrames, firstBytes = 4096, 4 << 20
)

// AppendFrame appends the frame of an agent's n-th packet.
func AppendFrame(dst []byte, agent, n int) []byte {
	c := oracle.ContentOf(agent, n)
	begin := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0x83) // header, map of 3
	dst = appendStr(dst, "packet_id")
	dst = append(appendHead(dst, oracle.IDSize), oracle.AppendID(nil, agent, n)...)
	dst = appendStr(appendStr(dst, "agent_id"), c.Agent)
	dst = append(appendStr(dst, "messages"), 0x91, 0x85) // array of 1, map of 5
	dst = append(appendStr(dst, "timestamp"), 0xd3)      // int64: Unix seconds
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Seconds))
	dst = appendStr(appendStr(dst, "level"), string(c.Level))
	dst = appendStr(appendStr(dst, "source"), "e2e")
	dst = appendStr(appendStr(dst, "message"), c.Text)
	dst = append(appendStr(dst, "metadata"), 0x81)
	dst = appendStr(appendStr(dst, "mark"), c.Mark)
	binary.BigEndian.PutUint32(dst[begin:], uint32(len(dst)-begin-4))
	return dst
}

func appendStr(dst []byte, s string) []byte { return append(appendHead(dst, len(s)), s...) }

func appendHead(dst []byte, size int) []byte {
	if size < 32 {
		return append(dst, 0xa0|byte(size))
	}
	return binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(size))
}

// answer is a control frame from a receiver.
type answer struct {
	op               int
	n, frames, bytes int
	code, count      int
	retry            time.Duration
}

// readAnswer reads one control frame.
func readAnswer(r *bufio.Reader) (a answer, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return a, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 || size > 4096 {
		return a, fmt.Errorf("a control frame of %d bytes", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return a, err
	}
	if body[0]&0xf0 != 0x90 {
		return a, fmt.Errorf("no control frame: %x", body[0])
	}
	var v [6]int
	rest := body[1:]
	for i := range min(int(body[0]&0x0f), len(v)) {
		if v[i], rest, err = readValue(rest); err != nil {
			return a, err
		}
	}
	a = answer{op: v[0], n: v[1]}
	switch a.op {
	case opAck:
		a.frames, a.bytes = v[2], v[3]
	case opNack:
		a.code, a.retry, a.count = v[2], time.Duration(v[3])*time.Millisecond, max(1, v[5])
	case opGoaway:
		a.code = v[1]
	}
	return a, nil
}

var errValue = errors.New("a value of an unexpected type in a control frame")

// readValue reads an unsigned integer; a string counts as 0.
func readValue(b []byte) (v int, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	size, head := 0, 1
	switch c := b[0]; {
	case c < 0x80:
		return int(c), b[1:], nil
	case c >= 0xcc && c <= 0xcf: // uint8 … uint64
		size = 1 << (c - 0xcc)
	case c >= 0xa0 && c < 0xc0: // fixstr
		size = int(c & 0x1f)
	case c >= 0xd9 && c <= 0xda && len(b) > int(c-0xd8): // str8, str16
		head = 1 + int(c-0xd8)
		for _, x := range b[1:head] {
			size = size<<8 | int(x)
		}
	default:
		return 0, nil, errValue
	}
	if len(b) < head+size {
		return 0, nil, io.ErrUnexpectedEOF
	}
	if b[0] >= 0xcc && b[0] <= 0xcf {
		for _, x := range b[1 : 1+size] {
			v = v<<8 | int(x)
		}
	}
	return v, b[head+size:], nil
}

// Wire is a bare connection of an agent without HELLO, for scenarios that say
// themselves what is sent when. Owned by one goroutine.
type Wire struct {
	Conn net.Conn
	Sent int // data frames
	in   *bufio.Reader
}

// Dial opens a bare connection; everything on it must be done within limit.
func Dial(addr string, limit time.Duration) (*Wire, error) {
	c, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		return nil, err
	}
	return &Wire{Conn: c, in: bufio.NewReader(c)}, c.SetDeadline(time.Now().Add(limit))
}

// Send writes an agent's packets n, in one piece.
func (w *Wire) Send(agent int, n ...int) error {
	var out []byte
	for _, n := range n {
		out = AppendFrame(out, agent, n)
	}
	w.Sent += len(n)
	_, err := w.Conn.Write(out)
	return err
}

// Next reads one answer and says how far frames are answered by it: an ACK's n,
// or 0 with a NACK's first and last. An answer to what was not sent is an error.
func (w *Wire) Next() (ack int, nacked [2]int, code int, err error) {
	a, err := readAnswer(w.in)
	if err != nil {
		return 0, nacked, 0, err
	}
	switch a.op {
	case opAck:
		if a.n > w.Sent {
			return 0, nacked, 0, fmt.Errorf("misrouted: ACK %d, and %d were sent", a.n, w.Sent)
		}
		return a.n, nacked, 0, nil
	case opNack:
		if a.n+a.count-1 > w.Sent {
			return 0, nacked, 0, fmt.Errorf("misrouted: NACK %d+%d, and %d were sent", a.n, a.count, w.Sent)
		}
		return 0, [2]int{a.n, a.n + a.count - 1}, a.code, nil
	}
	return 0, nacked, 0, fmt.Errorf("opcode %d", a.op)
}

// Close closes the connection, with RST if asked to.
func (w *Wire) Close(rst bool) {
	if rst {
		relay.Reset(w.Conn)
		return
	}
	w.Conn.Close()
}
