package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Row A13: requests at odds with themselves get one 4xx and are closed.
func TestMalformedHTTP(t *testing.T) {
	f := newFake()
	s := start(t, f, nil)
	length := fmt.Sprintf("Content-Length: %d\r\n", len(packet))
	smuggled := "GET /stats HTTP/1.1\r\nHost: h\r\n\r\n"
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(packet), packet)
	for _, tc := range []struct{ name, request string }{
		{"length and chunked", "POST /ingest HTTP/1.1\r\nHost: h\r\n" + length + "Transfer-Encoding: chunked\r\n\r\n" + chunked + smuggled},
		{"chunked and length", "POST /ingest HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" + length + "\r\n" + packet + smuggled},
		{"length and identity", "POST /ingest HTTP/1.1\r\nHost: h\r\n" + length + "Transfer-Encoding: identity\r\n\r\n" + packet + smuggled},
		{"length and TE in capitals", "POST /ingest HTTP/1.1\r\nHost: h\r\n" + length + "TRANSFER-ENCODING: identity\r\n\r\n" + packet + smuggled},
		{"length and unknown coding", "POST /ingest HTTP/1.1\r\nHost: h\r\n" + length + "Transfer-Encoding: xchunked\r\n\r\n" + packet + smuggled},
		{"two codings", "POST /ingest HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunked + smuggled},
		{"a list of codings", "POST /ingest HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + chunked + smuggled},
		{"chunked", "POST /ingest HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + smuggled},
		{"chunked on another path", "GET /stats HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + smuggled},
		{"bad chunking", "POST /ingest HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + packet + smuggled},
		{"negative chunk", "POST /ingest HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + packet + smuggled},
		{"two lengths, the same", "POST /ingest HTTP/1.1\r\nHost: h\r\n" + length + length + "\r\n" + packet + smuggled},
		{"two lengths, different", "POST /ingest HTTP/1.1\r\nHost: h\r\n" + length + "Content-Length: 5\r\n\r\n" + packet + smuggled},
		{"a list of lengths", "POST /ingest HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n" + packet + smuggled},
		{"negative length", "POST /ingest HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n" + packet + smuggled},
		{"length with a sign", "POST /ingest HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n" + packet + smuggled},
		{"huge length", "POST /ingest HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n" + packet + smuggled},
		{"space before the colon", "POST /ingest HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\n" + packet + smuggled},
		{"chunked on 1.0", "POST /ingest HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + smuggled},
		{"chunked and length on 1.0", "POST /ingest HTTP/1.0\r\nHost: h\r\n" + length + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + packet + smuggled},
		{"huge header", "POST /ingest HTTP/1.1\r\nHost: h\r\nX-Large: " + strings.Repeat("x", 100<<10) + "\r\n" + length + "\r\n" + packet + smuggled},
		{"endless header", "POST /ingest HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X-More: 1\r\n", 10_000)},
		{"two hosts", "POST /ingest HTTP/1.1\r\nHost: h\r\nHost: i\r\n" + length + "\r\n" + packet + smuggled},
		{"not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n" + smuggled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := raw(t, s, tc.request) // returns because the server closed
			if !strings.HasPrefix(got, "HTTP/1.1 4") || strings.Count(got, "HTTP/1.") != 1 {
				t.Errorf("got %q", got)
			}
		})
	}
	if f.accepted() != 0 {
		t.Errorf("%d packets were submitted", f.accepted())
	}
}

// Row A14: bodies that are no packet, each with the field that it is about.
func TestBadBodies(t *testing.T) {
	f := newFake()
	s := start(t, f, nil)
	message := func(change string) string {
		fields := map[string]string{"timestamp": `1.5`, "level": `"INFO"`, "source": `"s"`, "message": `"m"`}
		name, value, _ := strings.Cut(change, "=")
		fields[name] = value
		text := ""
		for k, v := range fields {
			if v != "" {
				text += fmt.Sprintf(",%q:%s", k, v)
			}
		}
		return `{"packet_id":"p","agent_id":"a","messages":[{"timestamp":0,"level":"INFO","source":"","message":""},{` + text[1:] + `}]}`
	}
	const json415, msgpack = "Content-Type", "application/msgpack"
	for _, tc := range []struct {
		name, body string
		status     int
		field      string
		headers    []string
	}{
		{"empty", "", 400, "body", nil},
		{"blank", "  \n", 400, "body", nil},
		{"not JSON", "hello", 400, "body", nil},
		{"cut", packet[:50], 400, "body", nil},
		{"trailing", packet + "x", 400, "body", nil},
		{"two documents", packet + packet, 400, "body", nil},
		{"trailing comma", `{"packet_id":"p",}`, 400, "body", nil},
		{"bad escape", `{"packet_id":"\q"}`, 400, "body", nil},
		{"control character", "{\"packet_id\":\"a\nb\"}", 400, "body", nil},
		{"array", "[]", 400, "body", nil},
		{"null", "null", 400, "body", nil},
		{"no packet_id", `{"agent_id":"a","messages":[]}`, 400, "packet_id", nil},
		{"packet_id a number", `{"packet_id":1,"agent_id":"a","messages":[]}`, 400, "packet_id", nil},
		{"packet_id empty", `{"packet_id":"","agent_id":"a","messages":[]}`, 400, "packet_id", nil},
		{"packet_id long", `{"packet_id":"` + strings.Repeat("p", 257) + `","agent_id":"a","messages":[]}`, 400, "packet_id", nil},
		{"packet_id twice", `{"packet_id":"p","packet_id":"p","agent_id":"a","messages":[]}`, 400, "packet_id", nil},
		{"packet_id twice, once in disguise", `{"packet_id":"p","packet\u005fid":"p","agent_id":"a","messages":[]}`, 400, "packet_id", nil},
		{"no agent_id", `{"packet_id":"p","messages":[]}`, 400, "agent_id", nil},
		{"agent_id null", `{"packet_id":"p","agent_id":null,"messages":[]}`, 400, "agent_id", nil},
		{"no messages", `{"packet_id":"p","agent_id":"a"}`, 400, "messages", nil},
		{"messages an object", `{"packet_id":"p","agent_id":"a","messages":{}}`, 400, "messages", nil},
		{"message a string", `{"packet_id":"p","agent_id":"a","messages":["m"]}`, 400, "messages[0]", nil},
		{"no timestamp", message("timestamp="), 400, "messages[1].timestamp", nil},
		{"timestamp no time", message(`timestamp="yesterday"`), 400, "messages[1].timestamp", nil},
		{"timestamp null", message("timestamp=null"), 400, "messages[1].timestamp", nil},
		{"timestamp far", message("timestamp=1e300"), 400, "messages[1].timestamp", nil},
		{"no level", message("level="), 400, "messages[1].level", nil},
		{"unknown level", message(`level="info"`), 400, "messages[1].level", nil},
		{"level a number", message("level=3"), 400, "messages[1].level", nil},
		{"source an array", message("source=[]"), 400, "messages[1].source", nil},
		{"no message", message("message="), 400, "messages[1].message", nil},
		{"metadata an array", message("metadata=[]"), 400, "messages[1].metadata", nil},
		{"metadata out of range", message(`metadata={"x":1e999}`), 400, "messages[1].metadata", nil},
		{"level twice", strings.Replace(packet, `"level"`, `"level":"INFO","level"`, 1), 400, "messages[0].level", nil},
		{"invalid UTF-8 in an id", `{"packet_id":"` + "\xff" + `","agent_id":"a","messages":[]}`, 400, "packet_id", nil},
		{"invalid UTF-8 in a message", message("message=\"\xc0\xaf\""), 400, "messages[1].message", nil},
		{"invalid UTF-8 in metadata", message("metadata={\"k\":[\"\xed\xa0\x80\"]}"), 400, "messages[1].metadata", nil},
		{"invalid UTF-8 in a metadata key", message("metadata={\"\x80\":1}"), 400, "messages[1].metadata", nil},
		{"invalid UTF-8 in an unknown key", `{"packet_id":"p","agent_id":"a","messages":[],"x":"` + "\xff" + `"}`, 400, "body", nil},
		{"depth 33", message("metadata=" + strings.Repeat(`{"a":`, 30) + "1" + strings.Repeat("}", 30)), 400, "body", nil},
		{"depth 10^5", strings.Repeat("[", 100_000), 400, "body", nil},
		{"depth 10^5, closed", strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000), 400, "body", nil},
		{"10^5 keys", manyKeys(100_000), 413, "body", nil},
		{"packet too large", message(`message="` + strings.Repeat("m", 300<<10) + `"`), 413, "body", nil},
		{"packet too large by tiny messages", manyMessages(12_000), 413, "body", nil},
		{"body too large", message(`message="` + strings.Repeat("m", 1<<20) + `"`), 413, "body", nil},
		{"a form", packet, 415, "Content-Type", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"multipart", packet, 415, "Content-Type", []string{"Content-Type", "multipart/form-data; boundary=x"}},
		{"latin", packet, 415, "Content-Type", []string{"Content-Type", "application/json; charset=iso-8859-1"}},
		{"brotli", packet, 415, "Content-Encoding", []string{"Content-Encoding", "br"}},
		{"two layers", packet, 415, "Content-Encoding", []string{"Content-Encoding", "gzip, gzip"}},
		{"JSON as msgpack", packet, 400, "body", []string{json415, msgpack}},
		{"msgpack array", "\x93\x01\x02\x03", 400, "body", []string{json415, msgpack}},
		{"msgpack cut", string(binaryPacket()[:30]), 400, "body", []string{json415, msgpack}},
		{"msgpack trailing", string(binaryPacket()) + "x", 400, "body", []string{json415, msgpack}},
		{"msgpack bomb", "\xdf\xff\xff\xff\xff", 400, "body", []string{json415, msgpack}},
		{"msgpack too large", strings.Repeat("\x80", 300<<10), 413, "body", []string{json415, msgpack}},
		{"msgpack as JSON", string(binaryPacket()), 400, "body", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := post(t, s, tc.body, tc.headers...)
			var e struct{ Error, Field string }
			if err := json.Unmarshal([]byte(a.body), &e); err != nil {
				t.Fatalf("%v in %q", err, a.body)
			}
			if a.status != tc.status || e.Field != tc.field || !strings.HasPrefix(e.Error, tc.field+": ") {
				t.Errorf("got %d %s, want %d about %s", a.status, a.body, tc.status, tc.field)
			}
		})
	}
	if f.accepted() != 0 {
		t.Errorf("%d packets were submitted", f.accepted())
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	b.WriteString(`{"packet_id":"p","agent_id":"a","messages":[{"timestamp":0,"level":"INFO","source":"","message":"","metadata":{`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%d":0`, i)
	}
	b.WriteString("}}]}")
	return b.String()
}

func manyMessages(n int) string {
	one := `,{"timestamp":0,"level":"INFO","source":"","message":""}`
	return `{"packet_id":"p","agent_id":"a","messages":[` + strings.Repeat(one, n)[1:] + "]}"
}

// A body of a million keys is over every limit of the default configuration.
func TestMillionKeys(t *testing.T) {
	f := newFake()
	s := start(t, f, func(c *Config) { c.MaxBody, c.MaxFrame = 64<<20, 1<<20 })
	if a := post(t, s, manyKeys(1_000_000)); a.status != http.StatusRequestEntityTooLarge || f.accepted() != 0 {
		t.Errorf("%+v", a)
	}
}

// A refusal before the body has come must still arrive, although closing with
// unread input would reset the connection.
func TestEarlyRefusalArrives(t *testing.T) {
	s := start(t, newFake(), nil)
	for range 20 {
		body := strings.Repeat("x", 6<<20)
		got := raw(t, s, fmt.Sprintf("POST /ingest HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		if !strings.HasPrefix(got, "HTTP/1.1 413 ") || strings.Count(got, "HTTP/1.") != 1 {
			t.Fatalf("got %q", got)
		}
	}
}
