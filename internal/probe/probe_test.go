package probe

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		code   int
		said   string
	}{
		"healthy":             {200, `{"status":"healthy"}`, 0, "healthy\n"},
		"degraded":            {200, `{"status":"degraded","reasons":["a is down","b is down"]}`, 0, "degraded: a is down; b is down\n"},
		"unhealthy":           {503, `{"status":"unhealthy","reasons":["no analyzer takes packets"]}`, 1, "unhealthy: no analyzer takes packets\n"},
		"an analyzer's":       {503, `{"status":"unhealthy","name":"a","reason":"stopping"}`, 1, "unhealthy: stopping\n"},
		"somebody else's":     {200, `{}`, 1, "is it another program?\n"},
		"no JSON":             {404, `<html>`, 1, "answered 404 Not Found"},
		"a redirect to serve": {302, ``, 1, "is it another program?\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/health" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			defer s.Close()
			_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
			for _, listen := range []string{":" + port, "0.0.0.0:" + port, "127.0.0.1:" + port} {
				var out bytes.Buffer
				if code := Health(t.Context(), listen, &out); code != tc.code || !strings.HasSuffix(out.String(), tc.said) && !strings.Contains(out.String(), tc.said) {
					t.Errorf("%s: exit %d, %q", listen, code, out.String())
				}
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	for listen, said := range map[string]string{
		addr:      "connection refused\n",
		":0":      "any free port",
		"nowhere": "missing port",
	} {
		var out bytes.Buffer
		if code := Health(t.Context(), listen, &out); code != 1 || !strings.HasPrefix(out.String(), "unhealthy: ") || !strings.Contains(out.String(), said) {
			t.Errorf("%s: exit %d, %q", listen, code, out.String())
		}
	}
}

// A program that hangs is found out before whoever checks loses patience.
func TestNoAnswer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the kernel completes connections
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var out bytes.Buffer
	if code := Health(t.Context(), ln.Addr().String(), &out); code != 1 || !strings.Contains(out.String(), "gave no answer within 2s") {
		t.Errorf("exit %d, %q", code, out.String())
	}
}

func TestLocal(t *testing.T) {
	for listen, want := range map[string]string{
		":8000": "127.0.0.1:8000", "0.0.0.0:8000": "127.0.0.1:8000", "[::]:8000": "[::1]:8000",
		"10.1.2.3:80": "10.1.2.3:80", "localhost:80": "localhost:80", "[::1]:80": "[::1]:80",
	} {
		if got, err := local(listen); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", listen, got, err, want)
		}
	}
}
