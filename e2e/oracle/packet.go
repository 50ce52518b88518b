package oracle

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"sluice/protocol"
)

// IDSize is the length of every packet_id, "a0003-000000123": so a receipts
// file of known size holds a known number of packets, and a line that a kill
// tore cannot be taken for another packet's.
const IDSize = 15

// AppendID appends the packet_id of an agent's n-th packet.
func AppendID(dst []byte, agent, n int) []byte {
	dst = append(dst, 'a')
	dst = appendPadded(dst, agent, 4)
	dst = append(dst, '-')
	return appendPadded(dst, n, 9)
}

func appendPadded(dst []byte, v, width int) []byte {
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], int64(v), 10)
	for range width - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}

// ParseID is the reverse; false for whatever AppendID does not write.
func ParseID(id []byte) (agent, n int, ok bool) {
	if len(id) != IDSize || id[0] != 'a' || id[5] != '-' {
		return 0, 0, false
	}
	agent, ok = digits(id[1:5])
	if !ok {
		return 0, 0, false
	}
	n, ok = digits(id[6:])
	return agent, n, ok
}

func digits(text []byte) (v int, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}

// Content is what a packet says besides its id; it follows from the id alone,
// so that what arrives can be compared with what must have been sent.
type Content struct {
	Agent   string
	Seconds int64
	Level   protocol.Level
	Text    string
	Mark    string // metadata
}

// noise is what texts are cut from. It holds what is easily spoiled on the way:
// more than one byte a character, quotes, newlines, zeros.
var noise = func() string {
	var b []byte
	for i := range 600 {
		b = fmt.Appendf(b, "%x é漢\"\\\n\x00 ", mix(uint64(i)))
	}
	return string(b)
}()

// mix is SplitMix64's finisher.
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// ContentOf is what an agent's n-th packet says.
func ContentOf(agent, n int) Content {
	h := mix(uint64(agent)<<40 | uint64(n))
	levels := [...]protocol.Level{protocol.LevelDebug, protocol.LevelInfo, protocol.LevelWarning, protocol.LevelError, protocol.LevelCritical}
	from, size := int(h%8192), 20+int(h>>16%200)
	for from > 0 && noise[from]&0xc0 == 0x80 { // not inside a character
		from--
	}
	for noise[from+size]&0xc0 == 0x80 {
		size++
	}
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], h)
	return Content{
		Agent: fmt.Sprintf("agent-%d", agent), Seconds: 1_700_000_000 + int64(n), Level: levels[h>>40%5],
		Text: noise[from : from+size], Mark: fmt.Sprintf("%x", key),
	}
}

// PacketOf is the packet as package protocol encodes it.
func PacketOf(agent, n int) protocol.LogPacket {
	c := ContentOf(agent, n)
	return protocol.LogPacket{PacketID: string(AppendID(nil, agent, n)), AgentID: c.Agent, Messages: []protocol.LogMessage{{
		Timestamp: protocol.Timestamp{Time: time.Unix(c.Seconds, 0)}, Level: c.Level, Source: "e2e", Message: c.Text,
		Metadata: map[string]any{"mark": c.Mark},
	}}}
}
