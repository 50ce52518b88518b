// Package sdnotifytest is systemd's end of the socket, for tests.
package sdnotifytest

import (
	"net"
	"strings"
	"testing"
	"time"

	"sluice/internal/await"
)

// Systemd hears what a program tells. Owned by one test.
type Systemd struct{ conn *net.UnixConn }

// Listen binds the address as NOTIFY_SOCKET writes it, until the test ends.
func Listen(t testing.TB, address string) *Systemd {
	t.Helper()
	if rest, abstract := strings.CutPrefix(address, "@"); abstract {
		address = "\x00" + rest
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &Systemd{conn}
}

// Told waits for the next state.
func (s *Systemd) Told(t testing.TB) string {
	t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1024)
	n, err := s.conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}
