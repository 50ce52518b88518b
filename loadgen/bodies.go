package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/internal/rawlog"
	"sluice/protocol"
)

const (
	// A packet_id is "<run>-<connection>-<number>": 8 random hex digits that
	// make it unique over runs, 4, which is why there are at most 65,536
	// connections, and 12. The agent_id is "loadgen-<connection>".
	runDigits, connDigits, numDigits = 8, 4, 12
)

// A body is a ready LogPacket. Only the digits of its ids change from packet to
// packet; they are patched in place, so that generating costs a copy.
type body struct {
	bytes    []byte
	connAt   int // of packet_id's connection digits
	numAt    int
	agentAt  int // of agent_id's connection digits
	messages int
}

// bodies are used in turn. Immutable, and shared by all connections.
type bodies struct {
	list     []body
	compress protocol.Compression
}

// appendTo appends the n-th body for connection conn to dst.
func (b *bodies) appendTo(dst []byte, conn int, n uint64) []byte {
	t := b.at(n)
	at := len(dst)
	dst = append(dst, t.bytes...)
	p := dst[at:]
	putHex(p[t.connAt:t.connAt+connDigits], uint64(conn))
	putHex(p[t.agentAt:t.agentAt+connDigits], uint64(conn))
	putHex(p[t.numAt:t.numAt+numDigits], n)
	return dst
}

// at returns the n-th body. A division for each packet would be felt.
func (b *bodies) at(n uint64) *body {
	if len(b.list) == 1 {
		return &b.list[0]
	}
	return &b.list[n%uint64(len(b.list))]
}

// messages says how many log messages the n-th body holds.
func (b *bodies) messages(n uint64) int { return b.at(n).messages }

// putHex fills dst, an even number of digits, with the low ones of n. Twelve of
// them for each packet through hex.Encode were a tenth of what one cost here.
func putHex(dst []byte, n uint64) {
	for i := len(dst) - 2; i >= 0; i -= 2 {
		binary.LittleEndian.PutUint16(dst[i:], hexPairs[byte(n)])
		n >>= 8
	}
}

// hexPairs are the two digits of each byte, the first one in the low half.
var hexPairs = func() (pairs [256]uint16) {
	const digits = "0123456789abcdef"
	for i := range pairs {
		pairs[i] = uint16(digits[i>>4]) | uint16(digits[i&15])<<8
	}
	return pairs
}()

// makeBodies builds all bodies before anything is sent.
func makeBodies(o *options) (*bodies, error) {
	var run [runDigits / 2]byte
	rand.Read(run[:]) // never fails
	encode := protocol.AppendPacket
	if o.Proto == "http" {
		encode = appendJSON
	}
	m := maker{run: hex.EncodeToString(run[:]), encode: encode, json: o.Proto == "http"}
	b := &bodies{compress: o.compression()}
	if len(o.From) == 0 {
		t, err := m.synthetic(o.Messages, int(o.Size))
		if err != nil {
			return nil, err
		}
		b.list = []body{t}
		return b, nil
	}
	messages, err := rawlog.ReadFiles(o.From, time.Now())
	if err != nil {
		return nil, fmt.Errorf("--from %w", err)
	}
	for chunk := range slices.Chunk(messages, o.Messages) {
		t, err := m.make(chunk, "")
		if err != nil {
			return nil, err
		}
		b.list = append(b.list, t)
	}
	return b, nil
}

func appendJSON(dst []byte, p *protocol.LogPacket) []byte {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // a LogPacket without metadata holds nothing that JSON cannot say
	}
	return append(dst, text...)
}

// maker builds bodies of one run in one encoding.
type maker struct {
	run    string
	encode func(dst []byte, p *protocol.LogPacket) []byte
	json   bool
}

// make builds the body of some messages; filler is appended to the agent_id.
func (m maker) make(messages []protocol.LogMessage, filler string) (body, error) {
	zeros := strings.Repeat("0", numDigits)
	id := m.run + "-" + zeros[:connDigits] + "-" + zeros
	agent := "loadgen-" + zeros[:connDigits]
	b := m.encode(nil, &protocol.LogPacket{PacketID: id, AgentID: agent + filler, Messages: messages})
	// The ids come first in both encodings, so a message cannot be mistaken for them.
	at, agentAt := bytes.Index(b, []byte(id)), bytes.Index(b, []byte(agent))
	if at < 0 || agentAt < 0 {
		return body{}, fmt.Errorf("the encoded packet does not hold its ids")
	}
	connAt := at + runDigits + 1
	return body{
		bytes: b, messages: len(messages),
		connAt: connAt, numAt: connAt + connDigits + 1, agentAt: agentAt + len("loadgen-"),
	}, nil
}

// defaultSize of a body with one message, in bytes. JSON is longer by nature.
func (m maker) defaultSize() int {
	if m.json {
		return 300
	}
	return 200
}

// synthetic builds a body of n equal messages. A size of 0 makes each message
// as long as the one of the default body.
func (m maker) synthetic(n, size int) (body, error) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	build := func(text, last, filler int) (body, error) {
		messages := make([]protocol.LogMessage, n)
		for i := range messages {
			messages[i] = protocol.LogMessage{
				Timestamp: protocol.Timestamp{Time: now}, Level: protocol.LevelInfo,
				Source: "loadgen", Message: prose(text),
			}
		}
		messages[n-1].Message = prose(last)
		return m.make(messages, strings.Repeat("-", filler))
	}
	if size == 0 {
		// The empty default body tells what one message's text makes up.
		one, err := m.synthetic(1, m.defaultSize())
		if err != nil || n == 1 {
			return one, err
		}
		bare, err := m.make([]protocol.LogMessage{{
			Timestamp: protocol.Timestamp{Time: now}, Level: protocol.LevelInfo, Source: "loadgen",
		}}, "")
		if err != nil {
			return body{}, err
		}
		text := len(one.bytes) - len(bare.bytes)
		return build(text, text, 0)
	}
	least, err := build(0, 0, 0)
	if err != nil {
		return body{}, err
	}
	if size < len(least.bytes) {
		return body{}, fmt.Errorf("--size %d: a packet with %d messages has at least %d bytes", size, n, len(least.bytes))
	}
	// Longer texts have longer headers, so the length is approached from above;
	// a header's jump that cannot be met exactly is met by the agent_id.
	text := (size - len(least.bytes)) / n
	for ; ; text = max(0, text-1) {
		b, err := build(text, text, 0)
		if err != nil {
			return body{}, err
		}
		if len(b.bytes) > size {
			continue
		}
		last := text + size - len(b.bytes)
		for filler := 0; ; {
			b, err := build(text, last, filler)
			if err != nil || len(b.bytes) == size {
				return b, err
			}
			if len(b.bytes) < size {
				filler++
			} else {
				last--
			}
		}
	}
}

// prose is n bytes that look a little like a log line.
func prose(n int) string {
	const words = "request served from cache in 12 ms, status 200, client 192.0.2.17, path /api/v1/items; "
	return strings.Repeat(words, n/len(words)+1)[:n]
}
