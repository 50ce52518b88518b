package main

import (
	"net"
	"os"
)

// notifier tells systemd about the life of the program (Type=notify). Without
// systemd it tells nobody.
type notifier struct{ addr *net.UnixAddr }

func newNotifier() notifier {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return notifier{}
	}
	if path[0] == '@' {
		path = "\x00" + path[1:]
	}
	return notifier{&net.UnixAddr{Name: path, Net: "unixgram"}}
}

// tell sends one state. Nothing depends on it: a failure is systemd's to notice.
func (n notifier) tell(state string) {
	if n.addr == nil {
		return
	}
	c, err := net.DialUnix("unixgram", nil, n.addr)
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.Write([]byte(state))
}
