// Package sdnotify tells systemd about the life of a program (Type=notify).
package sdnotify

import (
	"net"
	"os"
)

// States that systemd knows; further lines, such as STATUS=…, may follow.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// Tell sends a state, one assignment a line, to the socket that NOTIFY_SOCKET
// names; without systemd it tells nobody. Nothing depends on it, so it returns
// no error: systemd itself notices what it was not told. Safe for concurrent use.
func Tell(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if path[0] == '@' { // the notation of an abstract socket
		path = "\x00" + path[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.Write([]byte(state))
}
