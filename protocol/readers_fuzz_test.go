package protocol_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"sluice/protocol"
)

// judge is a second LogPacket reader, written the obvious way: recursive, on the
// tokens of msgpack/v5. Scan, View and DecodePacket must agree with it on every
// input (A2).
type judge struct {
	body []byte
	src  *bytes.Reader
	*msgpack.Decoder
}

// judged is a packet as the judge reads it.
type judged struct {
	id, agent string
	messages  []judgedMessage
}

type judgedMessage struct {
	level, source, text string
	time                judgedTime
	timestamp, metadata []byte // as they lie in the body; metadata nil if there is none
}

var errJudge = errors.New("refused")

func judgePacket(body []byte) (p judged, err error) {
	src := bytes.NewReader(body)
	j := judge{body, src, msgpack.NewDecoder(src)}
	seen, err := j.fields(1, map[string]func() error{
		"packet_id": func() (err error) { p.id, err = j.str(); return },
		"agent_id":  func() (err error) { p.agent, err = j.str(); return },
		"messages": func() error {
			if c, err := j.PeekCode(); err != nil || !isArray(c) {
				return errJudge
			}
			n, err := j.DecodeArrayLen()
			for ; n > 0 && err == nil; n-- {
				var m judgedMessage
				if m, err = j.message(); err == nil {
					p.messages = append(p.messages, m)
				}
			}
			return err
		},
	})
	switch {
	case err != nil:
	case len(seen) != 3, len(p.id) < 1, len(p.id) > 256, len(p.agent) < 1, len(p.agent) > 256, src.Len() != 0:
		err = errJudge
	}
	return p, err
}

func (j judge) message() (m judgedMessage, err error) {
	at := func() int { return len(j.body) - j.src.Len() }
	seen, err := j.fields(3, map[string]func() error{
		"timestamp": func() (err error) {
			start := at()
			m.time, err = j.timestamp()
			m.timestamp = j.body[start:at()]
			return err
		},
		"level":   func() (err error) { m.level, err = j.str(); return },
		"source":  func() (err error) { m.source, err = j.str(); return },
		"message": func() (err error) { m.text, err = j.str(); return },
		"metadata": func() error {
			start := at()
			err := j.metadata()
			if err == nil && j.body[start] != 0xc0 {
				m.metadata = j.body[start:at()]
			}
			return err
		},
	})
	if err == nil && (!seen["timestamp"] || !seen["level"] || !seen["source"] || !seen["message"]) {
		err = errJudge
	}
	return m, err
}

// fields reads a map at that depth, giving known keys to their functions.
func (j judge) fields(depth int, known map[string]func() error) (map[string]bool, error) {
	seen := map[string]bool{}
	c, err := j.PeekCode()
	if err != nil || !isMap(c) {
		return nil, errJudge
	}
	n, err := j.DecodeMapLen()
	for ; n > 0 && err == nil; n-- {
		var key string
		if key, err = j.str(); err != nil {
			break
		}
		if read := known[key]; read == nil {
			err = j.any(depth + 1)
		} else if seen[key] {
			err = errJudge
		} else {
			seen[key] = true
			err = read()
		}
	}
	return seen, err
}

func isMap(c byte) bool   { return c&0xf0 == 0x80 || c == 0xde || c == 0xdf }
func isArray(c byte) bool { return c&0xf0 == 0x90 || c == 0xdc || c == 0xdd }
func isStr(c byte) bool   { return c&0xe0 == 0xa0 || c >= 0xd9 && c <= 0xdb }

func (j judge) str() (string, error) {
	if c, err := j.PeekCode(); err != nil || !isStr(c) {
		return "", errJudge
	}
	return j.bytes()
}

func (j judge) bytes() (string, error) {
	n, err := j.DecodeBytesLen()
	if err != nil || n > j.src.Len() {
		return "", errJudge
	}
	b := make([]byte, n)
	err = j.ReadFull(b)
	return string(b), err
}

func (j judge) metadata() error {
	if c, err := j.PeekCode(); err != nil {
		return err
	} else if c == 0xc0 {
		return j.DecodeNil()
	}
	_, err := j.fields(4, nil)
	return err
}

func (j judge) drop(n int) error {
	_, err := io.CopyN(io.Discard, j.src, int64(n))
	return err
}

// any reads a value which, if it is a container, is the depth-th one open.
func (j judge) any(depth int) error {
	c, err := j.PeekCode()
	if err != nil {
		return err
	}
	n := 0
	switch {
	case isMap(c):
		n, err = j.DecodeMapLen()
		n *= 2
	case isArray(c):
		n, err = j.DecodeArrayLen()
	case isStr(c), c >= 0xc4 && c <= 0xc6:
		_, err = j.bytes()
		return err
	case c >= 0xd4 && c <= 0xd8, c >= 0xc7 && c <= 0xc9:
		_, n, err := j.DecodeExtHeader()
		if err != nil {
			return err
		}
		return j.drop(n)
	default:
		return j.Skip()
	}
	if depth > protocol.MaxDepth {
		return errJudge
	}
	for ; n > 0 && err == nil; n-- {
		err = j.any(depth + 1)
	}
	return err
}

// FuzzReaders holds the scan, the view, the decoder and the judge against each
// other: they accept the same packets, and read the same in them.
func FuzzReaders(f *testing.F) {
	f.Add(plainPacket())
	f.Add(golden(f, "packet")[4:])
	f.Add([]byte(withMeta("\x83\xa1a\xd4\xff\x00\xa1b\x83\x90\x01\x80\x02\xc0\x03\xa1c\xc7\x05\xffabcde")))
	for _, value := range []string{
		"\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xf1\x88\x6e\x09\x00",
		"\xca\x3f\xc0\x00\x00", "\xcb\x41\xda\x55\xcd\x69\x6b\xf3\x10", "\xb42026-01-02T03:04:05Z", "\xce\x69\x57\x35\xa5",
	} {
		f.Add([]byte(withTime(value)))
		f.Add([]byte(withMeta("\x81\xa1t" + value)))
	}
	f.Add([]byte("\x84" + keyMessages + "\x91\x84" + noMeta + "\xa1k\xc0" + ids))
	f.Add([]byte(withTime("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01")))
	f.Add([]byte(withMeta("\x81\xa1k" + nested("\x91", 28, "\x80"))))
	f.Add([]byte("\x84" + ids + keyMessages + "\x90\xa1k" + nested("\x81\x00", 31, "\x00")))
	f.Add([]byte("\x83" + ids + keyMessages + "\xdd\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var s protocol.Scanned
		scanErr := protocol.Scan(body, &s)
		want, judgeErr := judgePacket(body)
		if (scanErr == nil) != (judgeErr == nil) {
			t.Fatalf("scan: %v, judge: %v", scanErr, judgeErr)
		}
		var p protocol.LogPacket
		if scanErr != nil {
			var ie *protocol.InvalidError
			if !errors.As(scanErr, &ie) || ie.Field == "" || ie.Reason == "" {
				t.Fatalf("an error without a field or a reason: %#v", scanErr)
			}
			if err := protocol.DecodePacket(body, &p); err != scanErr {
				t.Fatalf("scan: %v, decode: %v", scanErr, err)
			}
			goThrough(body)
			return
		}
		if string(s.PacketID) != want.id || string(s.AgentID) != want.agent || s.Messages != len(want.messages) {
			t.Fatalf("scan: %q %q %d, judge: %+v", s.PacketID, s.AgentID, s.Messages, want)
		}
		if err := protocol.DecodePacket(body, &p); err != nil {
			t.Fatal(err)
		}
		viewAgrees(t, body, want)
		decodeAgrees(t, &p, want)
		// What was decoded can be sent again, and then says the same.
		again := protocol.AppendPacket(nil, &p)
		var q protocol.LogPacket
		if err := protocol.DecodePacket(again, &q); err != nil {
			t.Fatalf("encoded again: %v", err)
		}
		if second := protocol.AppendPacket(nil, &q); !bytes.Equal(second, again) {
			t.Fatalf("not the same the second time:\n%x\n%x", again, second)
		}
	})
}
