package protocol

import (
	"bytes"
	"fmt"
	"io"

	"github.com/vmihailenco/msgpack/v5"
)

// DecodePacket decodes a plain body into p, which is overwritten: the array of
// p.Messages is reused, everything else is new and keeps nothing of body. It
// scans first: an *[InvalidError] means that the body is no LogPacket. Whatever
// [Scan] accepts is decoded without an error.
//
// The tokens are read by msgpack/v5, but the structure is walked here. Its own
// decoding of free values fails on ext types that nobody registered, on
// timestamps of odd lengths and on map keys that are no strings, all of which
// the wire allows inside metadata and unknown keys.
func DecodePacket(body []byte, p *LogPacket) error {
	var s Scanned
	if err := Scan(body, &s); err != nil {
		return err
	}
	d := packetDecoder{Decoder: msgpack.GetDecoder(), src: bytes.NewReader(body)}
	defer msgpack.PutDecoder(d.Decoder)
	d.Reset(d.src)

	pairs, err := d.DecodeMapLen()
	if err != nil {
		return decodeFault("packet", err)
	}
	*p = LogPacket{Messages: p.Messages[:0]}
	for range pairs {
		key, err := d.shortStr()
		if err != nil {
			return decodeFault("packet", err)
		}
		switch string(key) {
		case "packet_id":
			p.PacketID, err = d.DecodeString()
		case "agent_id":
			p.AgentID, err = d.DecodeString()
		case "messages":
			err = d.messages(p)
		default:
			err = d.Skip()
		}
		if err != nil {
			return decodeFault("packet", err)
		}
	}
	return nil
}

// packetDecoder adds to the library's decoder a buffer for the strings that
// nobody keeps: a packet of one message has seven keys and a level.
type packetDecoder struct {
	*msgpack.Decoder
	src *bytes.Reader
	buf []byte
}

// shortStr reads a str, borrowed until the next call.
func (d *packetDecoder) shortStr() ([]byte, error) {
	n, err := d.DecodeBytesLen()
	if err != nil {
		return nil, err
	}
	if n > d.src.Len() {
		return nil, io.ErrUnexpectedEOF
	}
	if cap(d.buf) < n {
		d.buf = make([]byte, max(n, 64))
	}
	b := d.buf[:n]
	return b, d.ReadFull(b)
}

func (d *packetDecoder) messages(p *LogPacket) error {
	n, err := d.DecodeArrayLen()
	if err != nil {
		return err
	}
	// The scan found n messages, each with its four keys: the allocation is
	// bounded by a few times the body.
	if cap(p.Messages) < n {
		p.Messages = make([]LogMessage, 0, n)
	}
	for range n {
		var m LogMessage
		if err := d.message(&m); err != nil {
			return err
		}
		p.Messages = append(p.Messages, m)
	}
	return nil
}

func (d *packetDecoder) message(m *LogMessage) error {
	pairs, err := d.DecodeMapLen()
	if err != nil {
		return err
	}
	for range pairs {
		key, err := d.shortStr()
		if err != nil {
			return err
		}
		switch string(key) {
		case "timestamp":
			m.Timestamp, err = decodeTimestamp(d.Decoder)
		case "level":
			m.Level, err = d.level()
		case "source":
			m.Source, err = d.DecodeString()
		case "message":
			m.Message, err = d.DecodeString()
		case "metadata":
			m.Metadata, err = decodeMetadata(d.Decoder)
		default:
			err = d.Skip()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// level allocates nothing for one of the five.
func (d *packetDecoder) level() (Level, error) {
	s, err := d.shortStr()
	for _, l := range [...]Level{LevelInfo, LevelWarning, LevelError, LevelDebug, LevelCritical} {
		if string(s) == string(l) {
			return l, err
		}
	}
	return Level(s), err
}

// decodeFault wraps what should never happen: the scan accepted a body that
// the library does not decode. The fuzz target FuzzScan hunts for it.
func decodeFault(where string, err error) error {
	return fmt.Errorf("protocol: decode %s after a passed scan: %w", where, err)
}
