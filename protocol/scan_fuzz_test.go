package protocol_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"sluice/protocol"
)

// judge is a second LogPacket scanner, written the obvious way: recursive, on
// the tokens of msgpack/v5. Scan must agree with it on every input (A2).
type judge struct {
	src *bytes.Reader
	*msgpack.Decoder
}

var errJudge = errors.New("refused")

func judgePacket(body []byte) (id, agent string, messages int, err error) {
	src := bytes.NewReader(body)
	j := judge{src, msgpack.NewDecoder(src)}
	seen, err := j.fields(1, map[string]func() error{
		"packet_id": func() (err error) { id, err = j.str(); return },
		"agent_id":  func() (err error) { agent, err = j.str(); return },
		"messages": func() error {
			if c, err := j.PeekCode(); err != nil || !protocol.IsControl(c) { // an array
				return errJudge
			}
			n, err := j.DecodeArrayLen()
			messages = n
			for ; n > 0 && err == nil; n-- {
				err = j.message()
			}
			return err
		},
	})
	switch {
	case err != nil:
	case len(seen) != 3, len(id) < 1, len(id) > 256, len(agent) < 1, len(agent) > 256, src.Len() != 0:
		err = errJudge
	}
	return id, agent, messages, err
}

func (j judge) message() error {
	str := func() error { _, err := j.str(); return err }
	seen, err := j.fields(3, map[string]func() error{
		"timestamp": j.timestamp, "level": str, "source": str, "message": str, "metadata": j.metadata,
	})
	if err == nil && (!seen["timestamp"] || !seen["level"] || !seen["source"] || !seen["message"]) {
		err = errJudge
	}
	return err
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

func isMap(c byte) bool { return c&0xf0 == 0x80 || c == 0xde || c == 0xdf }
func isStr(c byte) bool { return c&0xe0 == 0xa0 || c >= 0xd9 && c <= 0xdb }

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

func (j judge) timestamp() error {
	c, err := j.PeekCode()
	switch {
	case err != nil:
		return err
	case isStr(c), c < 0x80, c >= 0xe0, c >= 0xca && c <= 0xd3:
		return j.any(4)
	case c >= 0xd4 && c <= 0xd8, c >= 0xc7 && c <= 0xc9:
		typ, n, err := j.DecodeExtHeader()
		if err != nil || typ != -1 || n != 4 && n != 8 && n != 12 {
			return errJudge
		}
		return j.drop(n)
	}
	return errJudge
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
	case protocol.IsControl(c):
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

func FuzzScan(f *testing.F) {
	f.Add(plainPacket())
	f.Add(golden(f, "packet")[4:])
	f.Add([]byte(withMeta("\x83\xa1a\xd4\xff\x00\xa1b\x83\x90\x01\x80\x02\xc0\x03\xa1c\xc7\x05\xffabcde")))
	f.Add([]byte(withTime("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01")))
	f.Add([]byte(withMeta("\x81\xa1k" + nested("\x91", 28, "\x80"))))
	f.Add([]byte("\x84" + ids + keyMessages + "\x90\xa1k" + nested("\x81\x00", 31, "\x00")))
	f.Add([]byte("\x83" + ids + keyMessages + "\xdd\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var s protocol.Scanned
		scanErr := protocol.Scan(body, &s)
		id, agent, messages, judgeErr := judgePacket(body)
		if (scanErr == nil) != (judgeErr == nil) {
			t.Fatalf("scan: %v, judge: %v", scanErr, judgeErr)
		}
		if scanErr != nil {
			var ie *protocol.InvalidError
			if !errors.As(scanErr, &ie) || ie.Field == "" || ie.Reason == "" {
				t.Fatalf("an error without a field or a reason: %#v", scanErr)
			}
			return
		}
		if string(s.PacketID) != id || string(s.AgentID) != agent || s.Messages != messages {
			t.Fatalf("scan: %q %q %d, judge: %q %q %d", s.PacketID, s.AgentID, s.Messages, id, agent, messages)
		}
		var p protocol.LogPacket
		if err := protocol.DecodePacket(body, &p); err != nil {
			t.Fatal(err)
		}
		if p.PacketID != id || p.AgentID != agent || len(p.Messages) != messages {
			t.Fatalf("decoded %+v", p)
		}
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
