package faults

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"sluice/e2e/harness"
)

// smuggled is A13: HTTP that two readers could take for different requests.
// There is one answer, a 4xx, and the connection ends, so that nothing behind
// it is ever taken for a request.
func smuggled(r *harness.Run) {
	s := r.Start(harness.Options{Env: steady()})
	r.Load(gentle())
	r.AwaitAcked(harness.MinAcked)
	body := `{"packet_id":"smuggled","agent_id":"a","messages":[]}`
	size := "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
	post := func(version, headers, body string) string {
		return "POST /ingest HTTP/" + version + "\r\nHost: x\r\nContent-Type: application/json\r\n" + headers + "\r\n" + body
	}
	chunked := "Transfer-Encoding: chunked\r\n"
	cases := map[string]string{
		"both lengths":         post("1.1", size+chunked, "0\r\n\r\n"),
		"both, the other way":  post("1.1", chunked+size, "0\r\n\r\n"),
		"two lengths":          post("1.1", size+"Content-Length: 3\r\n", body),
		"two equal lengths":    post("1.1", size+size, body),
		"a list of lengths":    post("1.1", "Content-Length: 53, 53\r\n", body),
		"a negative length":    post("1.1", "Content-Length: -1\r\n", body),
		"a length with a sign": post("1.1", "Content-Length: +53\r\n", body),
		"chunks in 1.0":        post("1.0", chunked, "0\r\n\r\n"),
		"chunks":               post("1.1", chunked, "35\r\n"+body+"\r\n0\r\n\r\n"),
		"bad chunks":           post("1.1", chunked, "zz\r\n"+body),
		"unknown encoding":     post("1.1", "Transfer-Encoding: cow\r\n", body),
		"encoding in disguise": post("1.1", "Transfer-Encoding : chunked\r\n"+size, body),
		"two hosts":            post("1.1", "Host: y\r\n"+size, body),
		"no host":              "POST /ingest HTTP/1.1\r\nContent-Type: application/json\r\n" + size + "\r\n" + body,
		"a huge header":        post("1.1", "X: "+strings.Repeat("y", 64<<10)+"\r\n"+size, body),
		"many headers":         post("1.1", strings.Repeat("X: y\r\n", 20_000)+size, body),
		"no request":           "\x16\x03\x01\x02\x00\r\n\r\n",
	}
	taken := func() uint64 { st := r.Stats(0); return st.Rejected["invalid"] + st.DeadLettered }
	r.Each(func(int) {
		before := taken()
		for what, text := range cases {
			raw := answersTo(r, s.Distributors[0].HTTP, text+"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
			status, _, _ := strings.Cut(raw, "\r\n")
			_, code, _ := strings.Cut(status, " ")
			if n := strings.Count(raw, "HTTP/1."); n != 1 || !strings.HasPrefix(code, "4") {
				r.Fail("%s: %d answers, %q", what, n, raw[:min(len(raw), 300)])
			}
		}
		if after := taken(); after != before {
			r.Fail("%d of them reached the core", after-before)
		}
		r.Fired()
	})
	r.See("%d requests that can be read in two ways: one 4xx each, and closed", len(cases))
}

// answersTo writes text and returns all that comes until the connection ends.
func answersTo(r *harness.Run, addr, text string) string {
	c, err := net.Dial("tcp", addr)
	r.Must(err)
	defer c.Close()
	r.Must(c.SetDeadline(time.Now().Add(10 * time.Second)))
	go func() { _, _ = io.WriteString(c, text) }() // it may be cut off half-way, and rightly so
	var out bytes.Buffer
	if _, err := io.Copy(&out, c); err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			r.Fail("the connection was not closed after %q", out.String())
		}
	}
	return out.String()
}
